"""Ask the server, for the commands that read and tidy.

The server is the one of `--url`, `$DEEPEVENT_URL` or the local home, in this order. Knows HTTP, JSON and
the binary answer of `/points`; nothing of what a command prints.
"""

from __future__ import annotations

import argparse
import array
import json
import struct
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

from deepevent.endpoint import Endpoint
from deepevent.errors import RunNotFound, ServerRefused, ServerUnreachable
from deepevent.settings import Settings

ANSWER_LIMIT_S = 60.0
POINTS_PER_REQUEST = 250_000
BINARY = "application/octet-stream"
ID_LENGTH = 26
PAGE = 200


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what every command that asks the server understands."""
    parser.add_argument("--url", help="the server; default: $DEEPEVENT_URL, else the local one")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


class Remote:
    """The server's API, as one function per verb."""

    def __init__(self, server: str | None = None) -> None:
        settings = Settings({"url": server})
        endpoint = Endpoint(settings.home, settings.url, settings.token)
        endpoint.refresh()
        if not endpoint.url:
            raise ServerUnreachable(
                f"no server runs for {settings.home!r}: start `deepevent serve`, or name one with --url"
            )
        if not endpoint.token:
            local = Endpoint(settings.home)
            local.refresh()
            if local.url == endpoint.url:
                endpoint.token, endpoint.certificate = local.token, local.certificate
        self.url, self._token, self._trust = endpoint.url, endpoint.token, endpoint.trust()

    def get(self, path: str, **query: Any) -> Any:
        """GET some JSON; arguments that are None are left out."""
        given = {key: value for key, value in query.items() if value is not None}
        return json.loads(self._ask("GET", path + ("?" + urlencode(given) if given else "")))

    def delete(self, path: str) -> None:
        """DELETE."""
        self._ask("DELETE", path)

    def points(
        self, run_id: str, metric: str, rank: int
    ) -> Iterator[tuple[array.array[int], array.array[float], array.array[float]]]:
        """Read a metric's raw points: steps, times and values, some hundred thousand at a time."""
        after = 0
        while True:
            query = urlencode({"metric": metric, "rank": rank, "after": after, "limit": POINTS_PER_REQUEST})
            content = self._ask("GET", f"/runs/{quote(run_id)}/points?{query}", accept=BINARY)
            (size,) = struct.unpack_from("<I", content)
            n = json.loads(content[4 : 4 + size])["length"]
            if not n:
                return
            start = (4 + size + 7) // 8 * 8
            columns = [content[start + i * 8 * n : start + (i + 1) * 8 * n] for i in range(3)]
            steps, times, values = (
                array.array("q", columns[0]),
                array.array("d", columns[1]),
                array.array("d", columns[2]),
            )
            if sys.byteorder == "big":
                for column in (steps, times, values):
                    column.byteswap()
            yield steps, times, values
            after += n

    def runs(self, wanted: int | None = None, **query: Any) -> Iterator[dict[str, Any]]:
        """List runs, page after page, up to `wanted`."""
        cursor = None
        while wanted is None or wanted > 0:
            limit = PAGE if wanted is None else min(PAGE, wanted)
            page = self.get("/runs", limit=limit, cursor=cursor, **query)
            yield from page["runs"]
            cursor = page["next"]
            if cursor is None:
                return
            wanted = None if wanted is None else wanted - len(page["runs"])

    def find(self, run: str) -> dict[str, Any]:
        """Return the run with this id, or the newest one with this name.

        Raises:
            RunNotFound: there is none.
        """
        if len(run) == ID_LENGTH and run.isalnum():
            try:
                found: dict[str, Any] = self.get(f"/runs/{quote(run)}")
            except ServerRefused as error:
                if error.status != 404:
                    raise
            else:
                return found
        named = json.dumps(run, ensure_ascii=False)
        for candidate in self.runs(1, filter=f"name = {named}", sort="-created"):
            whole: dict[str, Any] = self.get(f"/runs/{candidate['id']}")
            return whole
        raise RunNotFound(f"no run has the id or the name {run!r}; `deepevent runs` lists them")

    def _ask(self, method: str, path: str, body: Any = None, accept: str = "application/json") -> bytes:
        headers = {"Accept": accept, "User-Agent": "deepevent"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        sent = urllib.request.Request(f"{self.url}/api/v1{path}", data, headers, method=method)  # noqa: S310 - our own scheme check is in Settings
        try:
            with urllib.request.urlopen(sent, timeout=ANSWER_LIMIT_S, context=self._trust) as answer:  # noqa: S310
                content: bytes = answer.read()
        except urllib.error.HTTPError as error:
            raise ServerRefused(error.code, _detail(error)) from None
        except OSError as error:
            raise ServerUnreachable(f"no answer from {self.url}: {getattr(error, 'reason', error)}") from None
        return content


def _detail(error: urllib.error.HTTPError) -> str:
    try:
        problem = json.loads(error.read())
        fields = "; ".join(f"{e.get('field')}: {e.get('detail')}" for e in problem.get("errors") or [])
        return str(problem.get("detail") or problem.get("title") or error.reason) + (
            f" ({fields})" if fields else ""
        )
    except (ValueError, AttributeError, OSError):
        return str(error.reason)
