"""A message of two packets reaches the browser in one piece, whoever else writes to its socket."""

from __future__ import annotations

import threading
from typing import Any

from flask import Flask
from socketio import packet

from deepevent.store import connection, migrate
from deepevent_web import live
from deepevent_web.tail import Tail


def test_no_answer_comes_between_a_header_and_its_points(tmp_path: Any) -> None:
    """The receiving thread answers while the tail is between the two packets of `points`."""
    db = connection.open_database(f"sqlite:///{tmp_path}/deepevent.db")
    migrate.upgrade(db)
    sockets = live.install(Flask("whole"), Tail(db, lambda _secret: True))
    server = sockets.server
    sent: list[str] = []
    between, tried = threading.Event(), threading.Event()

    def take(_socket_id: str, part: Any) -> None:
        sent.append("binary" if isinstance(part.data, bytes) else str(part.data)[:1])
        if len(sent) == 1:
            between.set()
            tried.wait(0.2)  # the answer must not come in here; with the fault it does at once

    server.eio.send_packet = take
    server.manager.connect("socket", "/")
    sid = server.manager.sid_from_eio_sid("socket", "/")

    def answer() -> None:
        between.wait(30)
        server._send_packet("socket", packet.Packet(packet.ACK, data=[{}], id=1))
        tried.set()

    answering = threading.Thread(target=answer)
    answering.start()
    outlet = live.SocketOutlet(server, sid, live._keep_messages_whole(server))
    outlet.send("points", {"series": []}, b"points")
    answering.join()
    db.close()
    assert sent == ["5", "binary", "3"]
