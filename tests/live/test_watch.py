"""What a browser sees while scripts log: every point, once, whatever happens to its socket."""

from __future__ import annotations

import threading
import time
from typing import Any

import requests
import socketio

import deepevent
from deepevent.store import access, connection

N_POINTS = 400


def test_a_page_gets_every_point_exactly_once_across_reconnects(server: Any, open_page: Any) -> None:
    """A script logs through the real client; the page comes, goes and comes back in the middle."""
    run = deepevent.start(name="live")
    halves = threading.Barrier(2)

    def script() -> None:
        for step in range(N_POINTS):
            run.log({"loss": 1 / (step + 1), "step": float(step)}, step=step)
            if step in (N_POINTS // 4, N_POINTS // 2):
                halves.wait(60)
        run.finish()

    writer = threading.Thread(target=script)
    writer.start()
    page = open_page(server)
    key = (run.id, "loss", 0)
    page.wait_for(lambda: any(name == "run" for name, _ in page.events) or _is_known(server, run.id))
    page.watch(run.id)
    page.wait_for(lambda: len(page.values.get(key, [])) > N_POINTS // 8)
    page.reconnect()
    halves.wait(60)
    page.watch(run.id)
    page.reconnect()
    halves.wait(60)
    page.watch(run.id)
    page.wait_for(lambda: len(page.values.get(key, [])) >= N_POINTS)
    writer.join()
    assert page.values[key] == [1 / (step + 1) for step in range(N_POINTS)]
    assert page.values[(run.id, "step", 0)] == [float(step) for step in range(N_POINTS)]


def _is_known(server: Any, run: str) -> bool:
    return bool(server.call("GET", f"/api/v1/runs/{run}").status_code == 200)


def _log(server: Any, number: int, *events: dict[str, Any], writer: str) -> dict[str, Any]:
    answer = server.call(
        "POST",
        "/api/v1/events",
        json={"events": list(events)},
        headers={"Idempotency-Key": f"{writer}:{number}"},
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


WRITER = "01j0000000000000000000000d"


def test_only_what_is_watched_is_sent(server: Any, open_page: Any) -> None:
    """Points of other runs and other metrics stay away; after `unwatch` all do."""
    other = "01j0000000000000000000000e"
    for writer in (WRITER, other):
        _log(server, 1, {"metrics": {"a": 0.0, "b": 0.0}}, writer=writer)
    page = open_page(server)
    page.watch(WRITER, metrics=["a"])
    for writer in (other, WRITER):
        _log(server, 2, {"metrics": {"a": 1.0, "b": 1.0}}, writer=writer)
    page.wait_for(lambda: page.values.get((WRITER, "a", 0)) == [0.0, 1.0])
    assert all(key[0] == WRITER for key in page.values)
    assert page.n_points_received == 1
    page.io.call("unwatch", timeout=30)
    _log(server, 3, {"metrics": {"a": 2.0}}, writer=WRITER)
    _log(server, 4, {"type": "finish", "status": "completed"}, writer=WRITER)
    page.wait_for(lambda: "completed" in str(page.events))
    assert page.n_points_received == 1


def test_runs_media_and_alerts_arrive(server: Any, open_page: Any) -> None:
    """Runs and alerts come to everybody, media to those who watch; a deleted run is named."""
    _log(server, 1, {"metrics": {"a": 0.0}}, writer=WRITER)
    page = open_page(server)
    page.watch(WRITER)
    _log(
        server,
        2,
        {"type": "media", "kind": "text", "name": "note", "step": 0, "data": {"text": "hi"}},
        {"type": "alert", "title": "plateau", "text": "", "level": "warning"},
        {"type": "finish", "status": "failed", "traceback": "x"},
        writer=WRITER,
    )
    page.wait_for(lambda: {"media", "alert", "run"} <= {name for name, _ in page.events})
    run = next(
        message["runs"][0]
        for name, message in page.events
        if name == "run" and any(run["status"] == "failed" for run in message["runs"])
    )
    assert run["id"] == WRITER
    assert "config" not in run
    assert next(m for name, m in page.events if name == "media")["media"][0]["data"] == {"text": "hi"}
    assert next(m for name, m in page.events if name == "alert")["alerts"][0]["title"] == "plateau"
    server.call("PATCH", f"/api/v1/runs/{WRITER}", json={"name": "renamed"})
    page.wait_for(lambda: "renamed" in str(page.events))


def test_after_a_revision_only_what_changed_is_named(server: Any, open_page: Any) -> None:
    """A page that comes back hears which curves it has to fetch again."""
    _log(server, 1, {"metrics": {"a": 0.0, "b": 0.0}}, writer=WRITER)
    page = open_page(server)
    revision = page.watch(WRITER)["revision"]
    _log(server, 2, {"metrics": {"b": 1.0}}, writer=WRITER)
    answer = page.io.call("watch", {"runs": [WRITER], "metrics": None, "after": revision}, timeout=30)
    assert answer["changed"] == [[WRITER, "b", 0]]
    assert answer["revision"] > revision


def test_a_series_far_behind_is_fetched_and_not_poured(server: Any, open_page: Any) -> None:
    """Ten thousand points in one commit come as an index that makes the page fetch the curve."""
    _log(server, 1, {"metrics": {"a": 0.0}}, writer=WRITER)
    page = open_page(server)
    page.watch(WRITER)
    run = deepevent.start(name="fast", resume=WRITER)
    for step in range(1, 10_000):
        run.log({"a": float(step)}, step=step)
    run.finish()
    page.wait_for(lambda: len(page.values.get((WRITER, "a", 0), [])) >= 10_000)
    assert page.values[(WRITER, "a", 0)] == [float(step) for step in range(10_000)]


def test_the_socket_closes_when_its_token_is_revoked(server: Any, open_page: Any) -> None:
    """Within seconds of a revocation the page is told and its socket is gone."""
    db = connection.open_database(f"sqlite:///{server.home / 'deepevent.db'}")
    try:
        token = access.create_token(db, "viewer", "viewer")
        page = open_page(server, token)
        number = next(token["id"] for token in access.list_tokens(db) if token["name"] == "viewer")
        access.revoke(db, number)
    finally:
        db.close()
    page.wait_for(lambda: ("closing", {"reason": "signed out"}) in page.events)
    assert page.closed.wait(30)


def test_a_stopping_server_says_so(server: Any, open_page: Any) -> None:
    """Pages are told that the server stops, and it does not wait for them."""
    page = open_page(server)
    assert server.stop() == 0
    assert page.closed.wait(30)
    assert ("closing", {"reason": "stopping"}) in page.events


def test_events_are_refused_while_the_server_is_full(start_server: Any, open_page: Any) -> None:
    """Beyond the cap a page is turned away with 429, and a seat that is left is free again."""
    server = start_server("--viewers", "1")
    first = open_page(server)
    headers = {
        "Authorization": f"Bearer {server.token}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    address = f"{server.url}/socket.io/?EIO=4&transport=websocket"
    answer = requests.get(address, headers=headers, timeout=30)
    assert answer.status_code == 429
    assert answer.headers["Retry-After"]
    first.close()
    assert first.closed.wait(30)
    for _ in range(200):
        try:
            open_page(server)
            break
        except socketio.exceptions.ConnectionError:
            time.sleep(0.05)
    else:
        raise AssertionError("the seat was not given back")
