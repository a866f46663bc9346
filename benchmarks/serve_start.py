"""How long `deepevent serve` takes to its first 200, and what it holds while idle.

python benchmarks/serve_start.py [starts]
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil


def first_200(home: Path) -> tuple[float, subprocess.Popen[bytes]]:
    """Start a server; seconds until /healthz answers 200."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [Path(sys.executable).with_name("deepevent"), "serve", "--port", "0"],
        env={**os.environ, "DEEPEVENT_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while True:
        try:
            port = int(json.loads((home / "server.json").read_text())["url"].rpartition(":")[2])
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return time.perf_counter() - started, process
        except (OSError, ValueError):
            time.sleep(0.005)


def idle_bytes(process: subprocess.Popen[bytes]) -> tuple[int, int]:
    """Resident bytes of all processes: each counted alone, and with shared pages counted once."""
    parts = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    maps = [part.memory_full_info() for part in parts]
    return sum(one.rss for one in maps), sum(one.pss for one in maps)


def main(starts: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        times = []
        for number in range(starts + 1):
            (home / "server.json").unlink(missing_ok=True)
            seconds, process = first_200(home)
            if number == 0:
                print(f"first start on a fresh home, tables made: {seconds:.2f} s")
            else:
                times.append(seconds)
            if number == starts:
                time.sleep(3)
                rss, pss = idle_bytes(process)
                print(f"idle: {rss / 2**20:.0f} MiB RSS, {pss / 2**20:.0f} MiB with shared pages once")
            process.send_signal(signal.SIGTERM)
            process.wait()
    print(
        f"start to first 200, {starts} times: median {statistics.median(times):.2f} s, max {max(times):.2f} s"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
