"""From `run.log` in a script to the message in a browser's socket: real client, server and socket.

    python benchmarks/log_to_socket.py [points] [points per second] [other pages that watch]

The value that is logged is the clock at the call, and all run on one machine, so the difference is the delay.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import socketio

SCRIPT = """
import sys, time, deepevent
run = deepevent.start(name="delay")
run.log({{"ready": 1.0}})
run.flush(timeout=30)
print(run.id, flush=True)
sys.stdin.readline()
for step in range({points}):
    time.sleep({pause})
    run.log({{"clock": time.time()}}, step=step)
run.finish()
"""


def watch(url: str, token: str, run: str, on_points: Any) -> socketio.Client:
    client = socketio.Client(reconnection=False)
    client.on("points", on_points)
    client.connect(url, headers={"Authorization": f"Bearer {token}"}, transports=["websocket"])
    client.call("watch", {"runs": [run], "metrics": None, "after": None})
    return client


def main(points: int, rate: float, others: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        environment = {**os.environ, "DEEPEVENT_HOME": str(home)}
        command = [Path(sys.executable).with_name("deepevent"), "serve", "--port", "0"]
        server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        for line in server.stdout:
            if line.startswith("Stop it with"):
                break
        known = json.loads((home / "server.json").read_text())
        script = subprocess.Popen(
            [sys.executable, "-c", SCRIPT.format(points=points, pause=1 / rate)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert script.stdout is not None and script.stdin is not None
        run = script.stdout.readline().strip()
        delays: list[float] = []
        done = threading.Event()

        def take(header: dict[str, Any], data: bytes) -> None:
            now, offset = time.time(), 0
            for series in header["series"]:
                n = series["n"]
                if series["metric"] == "clock":
                    delays.extend(
                        now - value for value in struct.unpack_from(f"<{n}d", data, (offset + 2 * n) * 8)
                    )
                offset += 3 * n
            if len(delays) >= points:
                done.set()

        pages = [watch(known["url"], known["token"], run, lambda *_: None) for _ in range(others)]
        pages.append(watch(known["url"], known["token"], run, take))
        script.stdin.write("go\n")
        script.stdin.flush()
        done.wait(points / rate + 30)
        for page in pages:
            page.disconnect()
        script.wait()
        server.send_signal(signal.SIGTERM)
        server.wait()
    delays.sort()
    at = [1000 * delays[min(len(delays) - 1, int(len(delays) * share))] for share in (0.5, 0.9, 0.99)]
    print(
        f"log → socket, {len(delays)} points at {rate:g}/s, {others + 1} pages: "
        f"p50 {at[0]:.1f} ms, p90 {at[1]:.1f} ms, p99 {at[2]:.1f} ms, max {1000 * delays[-1]:.1f} ms"
    )


if __name__ == "__main__":
    given = [float(argument) for argument in sys.argv[1:]]
    main(
        int(given[0]) if given else 300,
        given[1] if len(given) > 1 else 10,
        int(given[2]) if len(given) > 2 else 0,
    )
