"""How a server shows itself to the network: by which names, over TLS or not, behind which proxy and path.

Turns the command line's arguments into the `Policy` that the gate asks and the TLS context that the workers
use, and refuses what would expose more than was meant. Opens no socket and no store.
"""

from __future__ import annotations

import argparse
import ipaddress
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from deepevent_web import proxies
from deepevent_web.policy import LOOPBACK_NAMES, Policy

if TYPE_CHECKING:
    import ssl

_BASE_PATH = re.compile(r"(/[A-Za-z0-9][A-Za-z0-9._~-]*)+\Z")
OWN_PATHS = frozenset(
    {"api", "static", "socket.io", "healthz", "readyz", "metrics"}
    | {"signin", "runs", "compare", "detections", "jobs", "settings"}
)
"""The first parts of the server's own addresses, which a base path must not begin with."""
YEAR_S = 366 * 24 * 3600


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments that are about the network."""
    parser.add_argument(
        "--allowed-host", action="append", default=[], metavar="NAME", help="also answer to this host name"
    )
    parser.add_argument("--public-url", help="the address that a TLS proxy in front of this server shows")
    parser.add_argument("--cert", type=Path, metavar="FILE", help="serve TLS with this certificate (PEM)")
    parser.add_argument("--key", type=Path, metavar="FILE", help="the certificate's private key (PEM)")
    parser.add_argument(
        "--trusted-proxy",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="believe X-Forwarded-For, -Host and -Proto from this address or network (default: from nobody)",
    )
    parser.add_argument(
        "--base-path", default="", metavar="PATH", help="lie below this path for browsers, such as /deepevent"
    )
    parser.add_argument(
        "--hsts",
        type=int,
        default=0,
        metavar="SECONDS",
        help="tell browsers to come over TLS alone for so long (default: 0, say nothing)",
    )
    parser.add_argument(
        "--limit", action="append", default=[], metavar="NAME=VALUE", help="another limit (docs/security.md)"
    )


def problems(arguments: argparse.Namespace) -> list[str]:
    """What is wrong with these arguments, a sentence each."""
    wrong = []
    if arguments.public_url is not None:
        parts = urlsplit(arguments.public_url)
        plain = parts.path in ("", "/") and not parts.query and not parts.fragment
        if parts.scheme not in ("http", "https") or not parts.netloc or not plain:
            wrong.append(f"--public-url must be like https://name, got {arguments.public_url!r}")
    if (arguments.cert is None) != (arguments.key is None):
        wrong.append("--cert and --key belong together: give both or neither")
    base = base_path(arguments)
    if base and (not _BASE_PATH.match(base) or base.split("/")[1] in OWN_PATHS):
        wrong.append(
            f"--base-path must be like /deepevent and not begin with {', '.join(sorted(OWN_PATHS))}, "
            f"got {arguments.base_path!r}"
        )
    if not 0 <= arguments.hsts <= YEAR_S:
        wrong.append(f"--hsts must lie between 0 and {YEAR_S} seconds, got {arguments.hsts}")
    return wrong


def base_path(arguments: argparse.Namespace) -> str:
    """The path below which the server lies, or ""."""
    return str(arguments.base_path).rstrip("/")


def tls(arguments: argparse.Namespace) -> ssl.SSLContext | None:
    """The TLS context, or None without TLS.

    Raises:
        SettingsError: certificate and key cannot be used.
    """
    if arguments.cert is None:
        return None
    from deepevent_web.tls import context

    return context(arguments.cert, arguments.key)


def local_url(arguments: argparse.Namespace, port: int) -> str:
    """Where this machine reaches the server."""
    scheme = "http" if arguments.cert is None else "https"
    return f"{scheme}://{_local_name(arguments.host)}:{port}{base_path(arguments)}"


def public_url(arguments: argparse.Namespace, port: int) -> str:
    """Where browsers reach it, without a slash at the end."""
    if arguments.public_url is None:
        return local_url(arguments, port)
    return f"{arguments.public_url.rstrip('/')}{base_path(arguments)}"


def policy(arguments: argparse.Namespace) -> Policy:
    """Whom to answer, and what to believe."""
    names = set(LOOPBACK_NAMES) | {name.lower() for name in arguments.allowed_host} | {arguments.host.lower()}
    public = None
    if arguments.public_url is not None:
        parts = urlsplit(arguments.public_url.lower())
        public = f"{parts.scheme}://{parts.netloc}"
        names.add((parts.hostname or "").lower())
    beyond = not is_loopback(arguments.host)
    if beyond:
        names |= {socket.gethostname().lower(), socket.getfqdn().lower()}
    return Policy(
        names=frozenset(names),
        any_address=beyond,
        public_origin=public,
        secure=arguments.cert is not None or (public or "").startswith("https://"),
        trusted_proxies=proxies.networks(arguments.trusted_proxy),
        base_path=base_path(arguments),
        hsts_s=arguments.hsts,
    )


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _local_name(host: str) -> str:
    if host in ("0.0.0.0", ""):  # noqa: S104 - compared with, not bound
        return "127.0.0.1"
    if host == "::":
        return "[::1]"
    return f"[{host}]" if ":" in host else host
