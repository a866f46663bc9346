"""A page as far as the live path goes: it watches, fetches, and merges what comes by its index."""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import socketio

TIMEOUT_S = 60


def keep_order(client: socketio.Client) -> None:
    """Let the client take packets as they come: by itself it starts a thread for each, and they race."""
    trigger = client.eio._trigger_event

    def in_order(event: str, *arguments: Any, **options: Any) -> Any:
        return trigger(event, *arguments, **{**options, "run_async": False})

    client.eio._trigger_event = in_order


class Page:
    """Follows docs/api.md: watch, then fetch; drop what is known, fetch what is ahead."""

    def __init__(self, server: Any, token: str | None = None) -> None:
        self.server = server
        self.token = token or server.token
        self.values: dict[tuple[str, str, int], list[float]] = {}
        self.events: list[tuple[str, Any]] = []
        self.revision: int | None = None
        self.n_points_received = 0
        self.n_messages = 0
        self.closed = threading.Event()
        self._behind: set[tuple[str, str, int]] = set()
        self._changed = threading.Condition()
        self.io = self._client()

    def _client(self) -> socketio.Client:
        session = requests.Session()
        session.trust_env = False
        client = socketio.Client(reconnection=False, http_session=session)
        keep_order(client)
        client.on("points", self._points)
        for name in ("run", "job", "agents", "media", "alert", "closing", "resync"):
            client.on(name, lambda message, name=name: self._event(name, message))
        client.on("disconnect", lambda *_: self.closed.set())
        return client

    def connect(self) -> Page:
        """Open the socket."""
        self.closed.clear()
        self.io.connect(
            self.server.url,
            headers={"Authorization": f"Bearer {self.token}"},
            transports=["websocket"],
            wait_timeout=TIMEOUT_S,
        )
        return self

    def reconnect(self) -> Page:
        """Lose the socket and come back."""
        self.io.disconnect()
        self.io = self._client()
        return self.connect()

    def watch(self, *runs: str, metrics: list[str] | None = None) -> dict[str, Any]:
        """Watch runs, and fetch what changed since this page last knew."""
        answer = self.io.call(
            "watch", {"runs": list(runs), "metrics": metrics, "after": self.revision}, timeout=TIMEOUT_S
        )
        assert "error" not in answer, answer
        changed = [tuple(key) for key in answer["changed"]]
        if self.revision is None:
            for run in runs:
                known = self.server.call("GET", f"/api/v1/runs/{run}/metrics").json()["metrics"]
                changed += [(run, metric["name"], metric["rank"]) for metric in known]
        for key in changed:
            self._fetch(key)
        self.revision = max(self.revision or 0, answer["revision"])
        return dict(answer)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until something that came makes `condition` true; fetches what the page is behind in."""
        while True:
            with self._changed:
                if not self._changed.wait_for(lambda: condition() or bool(self._behind), TIMEOUT_S):
                    pytest.fail(f"nothing came for {TIMEOUT_S} s; {self.n_messages} messages so far")
                if condition():
                    return
                behind, self._behind = self._behind, set()
            for key in behind:
                self._fetch(key)

    def _fetch(self, key: tuple[str, str, int]) -> None:
        run, metric, rank = key
        answer = self.server.call(
            "POST",
            "/api/v1/curves",
            json={"queries": [{"run": run, "metric": metric, "rank": rank}], "pixels": 8192},
        ).json()["curves"][0]
        assert not answer["thinned"]
        with self._changed:
            if answer["n_points"] > len(self.values.get(key, [])):
                self.values[key] = [float(value) for value in answer["value"]]
            self._changed.notify_all()

    def _points(self, header: dict[str, Any], data: bytes) -> None:
        offset = 0
        with self._changed:
            self.n_messages += 1
            for series in header["series"]:
                n, index = series["n"], series["index"]
                values = struct.unpack_from(f"<{n}d", data, (offset + 2 * n) * 8)
                offset += 3 * n
                self.n_points_received += n
                key = (series["run"], series["metric"], series["rank"])
                known = self.values.setdefault(key, [])
                if index > len(known):
                    self._behind.add(key)
                else:
                    known.extend(values[len(known) - index :])
            assert offset * 8 == len(data)
            self.revision = max(self.revision or 0, header["revision"])
            self._changed.notify_all()

    def _event(self, name: str, message: dict[str, Any]) -> None:
        with self._changed:
            self.events.append((name, message))
            self._changed.notify_all()

    def close(self) -> None:
        """Leave."""
        if self.io.connected:
            self.io.disconnect()


@pytest.fixture
def open_page() -> Iterator[Callable[..., Page]]:
    """Open pages; all are closed at the end."""
    pages: list[Page] = []

    def open_one(server: Any, token: str | None = None) -> Page:
        page = Page(server, token)
        pages.append(page)
        return page.connect()

    yield open_one
    for page in pages:
        page.close()
