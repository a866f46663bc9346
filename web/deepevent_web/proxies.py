"""What a proxy in front of the server says of a request: believed if trusted, dropped from all others.

Every client can write `X-Forwarded-Host` and call itself anything. So these headers count only where the
connection comes from an address that `--trusted-proxy` names. Knows hosts and addresses, and nothing of
who may do what; the host that a proxy names is checked by the policy like any other.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any

from deepevent.errors import SettingsError
from deepevent_web.problems import Problem

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_STRIPPED = ("HTTP_FORWARDED", "HTTP_PROXY", "HTTP_X_HTTP_METHOD_OVERRIDE", "HTTP_X_REAL_IP", "SCRIPT_NAME")
_FOR, _HOST, _PROTO = "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PROTO"


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """The addresses and networks of `--trusted-proxy`.

    Raises:
        SettingsError: one of them is neither.
    """
    found: list[Network] = []
    for text in texts:
        try:
            found.append(ipaddress.ip_network(text))
        except ValueError:
            raise SettingsError(
                f"--trusted-proxy must be an address or a network such as 10.0.0.0/8, got {text!r}"
            ) from None
    return tuple(found)


def settle(environ: dict[str, Any], trusted: Sequence[Network]) -> None:
    """Put the client's address, the host and the scheme where WSGI has them, and drop what was claimed.

    Raises:
        Problem: 400, a trusted proxy names two hosts or an unknown scheme.
    """
    claimed = {key: environ.get(key) for key in (_FOR, _HOST, _PROTO)}
    for key in list(environ):
        if key in _STRIPPED or key.startswith("HTTP_X_FORWARDED"):
            del environ[key]
    environ["SCRIPT_NAME"] = ""
    if not trusted or not is_in(environ.get("REMOTE_ADDR", ""), trusted):
        return
    environ["REMOTE_ADDR"] = _client(claimed[_FOR], environ["REMOTE_ADDR"], trusted)
    host, scheme = claimed[_HOST], claimed[_PROTO]
    if host is not None:
        if "," in host:
            raise Problem(400, "the proxy names two hosts in X-Forwarded-Host")
        environ["HTTP_HOST"] = host.strip()
    if scheme is not None:
        if scheme.strip().lower() not in ("http", "https"):
            raise Problem(400, "the proxy's X-Forwarded-Proto must be http or https")
        environ["wsgi.url_scheme"] = scheme.strip().lower()


def _client(chain: str | None, peer: str, trusted: Sequence[Network]) -> str:
    """The last address of the chain that is none of our proxies: all before it was written by the client."""
    for text in reversed((chain or "").split(",")):
        address = text.strip()
        if not _is_address(address):
            return peer
        peer = address
        if not is_in(address, trusted):
            break
    return peer


def is_in(address: str, trusted: Sequence[Network]) -> bool:
    """Whether an address is one of these; an IPv4 address that comes as IPv6 counts as what it is."""
    if not _is_address(address):
        return False
    found = ipaddress.ip_address(address)
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in network for network in trusted)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
