"""Which hosts and origins the server answers to, and with which headers. Pure decisions, no request state.

A browser can be talked into sending requests to a server on the same machine (DNS rebinding, foreign pages).
The Host header tells the first, the Origin header the second.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from deepevent_web.proxies import Network

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_HOST = re.compile(
    r"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?))(?::(?P<port>[0-9]{1,5}))?\Z"
)

STATIC_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
EMPTY_STYLE = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
"""The hash of nothing: Plotly.js makes an empty style element and then adds rules to it, which needs no
leave."""
DATA_CSP = "default-src 'none'; frame-ancestors 'none'; sandbox"


@dataclass(frozen=True)
class Policy:
    """The hosts and origins of one server.

    Attributes:
        names: host names and addresses to answer to, lower case, without a port.
        any_address: also answer to every numeric address (a rebound name is never numeric).
        public_origin: the origin that a proxy in front of the server shows, or None.
        secure: whether all browsers come over TLS, so that cookies are sent over TLS alone. Without it, a
            request is secure when its own connection is, or when a trusted proxy says so.
        trusted_proxies: whose X-Forwarded-… headers are believed.
        base_path: below which the server lies for browsers, `/deepevent`, or "".
        hsts_s: for how long browsers are to come by TLS alone; 0 says nothing of it.
    """

    names: frozenset[str] = field(default=LOOPBACK_NAMES)
    any_address: bool = False
    public_origin: str | None = None
    secure: bool = False
    trusted_proxies: tuple[Network, ...] = ()
    base_path: str = ""
    hsts_s: int = 0

    def host_allowed(self, host: str) -> bool:
        """Whether a Host header names this server."""
        found = _HOST.match(host.lower())
        if found is None:
            return False
        name = found["v6"] or found["name"]
        return name in self.names or (self.any_address and _is_address(name))

    def origin_allowed(self, origin: str, host: str, secure: bool) -> bool:
        """Whether an Origin header is that of our own pages, asked for over TLS or not."""
        if self.public_origin is not None and origin.lower() == self.public_origin:
            return True
        parts = urlsplit(origin)
        if (
            parts.scheme not in ("http", "https")
            or origin.lower() != f"{parts.scheme}://{parts.netloc.lower()}"
        ):
            return False
        return parts.netloc.lower() == host.lower() and not (secure and parts.scheme == "http")


def page_csp(nonce: str, secure: bool) -> str:
    """The Content-Security-Policy of our pages.

    Plotly.js builds its style sheet rule by rule in an empty style element, and sets style attributes
    while it draws SVG, so attributes alone need 'unsafe-inline'. It hands exported images over as data:
    and blob: addresses.
    """
    rules = [
        "default-src 'none'",
        f"script-src 'self' 'nonce-{nonce}'",
        f"style-src-elem 'self' 'nonce-{nonce}' {EMPTY_STYLE}",
        "style-src-attr 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "worker-src 'self'",
        "frame-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "object-src 'none'",
    ]
    if secure:
        rules.append("upgrade-insecure-requests")
    return "; ".join(rules)


def figure_csp(nonce: str) -> str:
    """The policy of the frame in which a logged figure is drawn.

    A figure is data from a script and Plotly.js a large reader of it, so they meet in a sandbox: an origin of
    its own, no network, no forms, no links out, and only our pages may hold it.
    """
    rules = [
        "default-src 'none'",
        f"script-src 'nonce-{nonce}'",
        f"style-src-elem 'nonce-{nonce}' {EMPTY_STYLE}",
        "style-src-attr 'unsafe-inline'",
        "img-src data: blob:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
        "sandbox allow-scripts",
    ]
    return "; ".join(rules)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
