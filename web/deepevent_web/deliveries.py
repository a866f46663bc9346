"""Sends alerts to webhooks: a signed POST each, in a thread of its own, which a slow receiver may hold up.

The body is JSON; `X-DeepEvent-Signature: t=SECONDS,v1=HEX` is the HMAC-SHA256 of `SECONDS.BODY` under the
webhook's secret, which a receiver recomputes and compares before it believes anything (docs/alerts.md).
Redirects are not followed, answers are not read beyond their first line, and addresses of the link-local
network, where clouds keep their secrets, are refused after the name was resolved.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ipaddress
import json
import logging
import ssl
import threading
import time
from typing import Any
from urllib.parse import urlsplit

from deepevent.store import webhooks
from deepevent.store.connection import Database

TIMEOUT_S = 5.0
SIGNATURE = "X-DeepEvent-Signature"
CLOUD_ADDRESSES = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200")))
"""Where clouds keep the secrets of their machines outside of the link-local network."""
_log = logging.getLogger(__name__)


class Deliveries:
    """Looks for what is to be sent, and sends it while nothing else is being sent."""

    def __init__(self, db: Database, address: str) -> None:
        """Take the store, and the dashboard's address for the links in what is sent."""
        self._db, self._address = db, address
        self._thread: threading.Thread | None = None

    def look(self) -> None:
        """Look once; sending goes on behind it."""
        if self._thread is not None and self._thread.is_alive():
            return
        webhooks.queue(self._db)
        waiting = webhooks.due(self._db)
        if waiting:
            self._thread = threading.Thread(
                target=self._send_all, args=(waiting,), name="webhooks", daemon=True
            )
            self._thread.start()

    def _send_all(self, waiting: list[dict[str, Any]]) -> None:
        for row in waiting:
            try:
                taken, answer = send(row["url"], row["secret"], self._body(row))
                webhooks.settle(self._db, row["delivery"], row["attempts"], answer, taken=taken)
            except Exception:  # noqa: BLE001 - one bad delivery must not hold up the others
                _log.exception("webhooks: delivery %d could not be written down", row["delivery"])

    def _body(self, row: dict[str, Any]) -> bytes:
        run = row["alert_run"]
        table = {
            "id": row["delivery"],
            "type": "alert",
            "alert": {name: row[f"alert_{name}"] for name in ("id", "title", "text", "level", "time")},
            "run": {"id": run, "name": row["run_name"], "project": row["project"]}
            | {"url": f"{self._address}/runs/{run}"},
        }
        return json.dumps(table, ensure_ascii=False).encode()


def signature(secret: str, body: bytes, moment: int) -> str:
    """Return the value of the signature's header."""
    digest = hmac.new(secret.encode(), b"%d." % moment + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"


def send(url: str, secret: str, body: bytes) -> tuple[bool, str]:
    """POST `body`, and return whether it was taken (any 2xx), and the answer or what went wrong."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(host, parts.port, timeout=TIMEOUT_S, context=context)
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=TIMEOUT_S)
    try:
        connection.connect()
        peer = _address(connection.sock.getpeername()[0])
        if peer.is_link_local or peer.is_multicast or peer.is_unspecified or peer in CLOUD_ADDRESSES:
            return False, f"the address {peer} is not one that alerts are sent to"
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "DeepEvent",
            SIGNATURE: signature(secret, body, int(time.time())),
        }
        connection.request("POST", target, body, headers)
        answer = connection.getresponse()
        return 200 <= answer.status < 300, f"{answer.status} {answer.reason}"
    except (OSError, http.client.HTTPException, ValueError) as error:
        return False, f"{type(error).__name__}: {error}"
    finally:
        connection.close()


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address that a connection goes to; an IPv4 address in the dress of IPv6 is what it is."""
    found = ipaddress.ip_address(text.partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found
