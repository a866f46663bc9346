"""The load generator: training scripts that log, pages that watch, and what the server makes of it.

K processes log M metrics at R calls a second through the real client; B sockets watch all of their runs; one
more script logs single points at uneven times, and a real Chromium that shows its run notes when each of them
was painted. All of it shares the machine with the server, as on a laptop. `load` and `soak` are the two
measurements that are made of this.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import psutil
import socketio
from playwright.sync_api import sync_playwright

from deepevent.store import connection, schema

BUDGET_P99_MS = 400.0
DRAINED_WITHIN_S = 5.0
SAMPLE_EVERY_S = 2.0
LIMIT_S = 180.0
PLAYER = """
import array, json, random, sys, time
import deepevent
n_metrics, rate, seconds, name = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
run = deepevent.start(name=name, project="load")
names = [f"part{i % 4}/value{i:03}" for i in range(n_metrics)]
run.log(dict.fromkeys(names, 1.0), step=0)
run.flush(timeout=60)
print(run.id, flush=True)
sys.stdin.readline()
# Noise in every digit of a float32, as losses have it.
noise = list(array.array("f", (1 + 0.1 * random.random() for _ in range(100_003))))
started, n, at = time.monotonic(), 0, 0
while (now := time.monotonic() - started) < seconds:
    while n < int(now * rate):
        n += 1
        at = (at + n_metrics) % (len(noise) - n_metrics)
        run.log(dict(zip(names, noise[at : at + n_metrics])), step=n)
    time.sleep(max(0.0, (n + 1) / rate - (time.monotonic() - started)))
ended = time.monotonic()
whole = run.flush(timeout=120)
print(json.dumps({"calls": n + 1, "whole": whole, "drained_s": time.monotonic() - ended}), flush=True)
run.finish()
"""
PROBE = """
import random, sys, time
import deepevent
pause, seconds = float(sys.argv[1]), float(sys.argv[2])
run = deepevent.start(name="probe", project="load")
run.log({"train/loss": 1.0}, step=0)
run.flush(timeout=60)
print(run.id, flush=True)
sys.stdin.readline()
noise, until, step = random.Random(0), time.monotonic() + seconds, 0
while time.monotonic() < until:
    time.sleep(noise.uniform(0.5, 1.5) * pause)
    step += 1
    before = time.time()
    run.log({"train/loss": 1 / step}, step=step)
    print(step, before, flush=True)
run.finish()
"""
# Notes the first painted frame that holds each step: Plotly tells when it has drawn, and the frame after that
# callback is the one that shows it.
PAINTED = """
() => {
  window.painted = {};
  const loss = (plot) => plot.data?.find((trace) => trace.meta?.metric === "train/loss");
  const plot = [...document.querySelectorAll(".plot")].find(loss);
  const note = () => requestAnimationFrame(() => {
    const at = (performance.timeOrigin + performance.now()) / 1000;
    for (const step of loss(plot).x) window.painted[step] ??= at;
  });
  note();
  plot.on("plotly_afterplot", note);
}
"""
SHOWS_LOSS = """
() => [...document.querySelectorAll(".plot")].some(
  (plot) => plot.data?.some((trace) => trace.meta?.metric === "train/loss"))
"""


@dataclasses.dataclass(frozen=True)
class Load:
    """What is played.

    Attributes:
        scripts: K.
        metrics: M, logged by each call.
        calls_per_s: R, of each script.
        watchers: B sockets, each of which watches every run.
        seconds: how long.
        probe_pause_s: mean time between two points whose way to the pixel is timed.
    """

    scripts: int = 8
    metrics: int = 20
    calls_per_s: float = 50.0
    watchers: int = 5
    seconds: float = 30.0
    probe_pause_s: float = 0.35

    @property
    def points_per_s(self) -> float:
        """All scripts together."""
        return self.scripts * self.metrics * self.calls_per_s


@dataclasses.dataclass
class Outcome:
    """What was seen.

    Attributes:
        logged, stored: points, by the scripts' account and in the store.
        to_pixel_ms: of each probed point.
        unpainted: probed points that no frame showed alone.
        to_socket_ms: of the newest point of each message to a watcher.
        drained_s: until the slowest script's last point was durable.
        memory: (seconds, bytes) of the server's processes, what they share counted once.
        disk: (seconds, bytes) of the store's files.
        cpu: share of one core that the server took.
    """

    logged: int = 0
    stored: int = 0
    to_pixel_ms: list[float] = dataclasses.field(default_factory=list)
    unpainted: int = 0
    to_socket_ms: list[float] = dataclasses.field(default_factory=list)
    drained_s: float = 0.0
    memory: list[tuple[float, int]] = dataclasses.field(default_factory=list)
    disk: list[tuple[float, int]] = dataclasses.field(default_factory=list)
    cpu: float = 0.0

    @property
    def sustained(self) -> bool:
        """Whether all arrived, in time, and the page kept its budget."""
        return (
            self.logged == self.stored
            and self.drained_s <= DRAINED_WITHIN_S
            and percentile(self.to_pixel_ms, 99) <= BUDGET_P99_MS
        )

    def at(self, series: list[tuple[float, int]], share: float) -> float:
        """The median of a twentieth of a series around a share of its length."""
        middle, half = int(share * (len(series) - 1)), max(1, len(series) // 40)
        return statistics.median(value for _, value in series[max(0, middle - half) : middle + half + 1])


def percentile(values: list[float], share: float) -> float:
    """A percentile by rank; without values infinite."""
    if not values:
        return float("inf")
    return sorted(values)[min(len(values) - 1, int(len(values) * share / 100))]


def play(load: Load) -> Outcome:
    """Play a load against a server of its own on a fresh home."""
    outcome = Outcome()
    with tempfile.TemporaryDirectory(prefix="deepevent-load-") as folder, contextlib.ExitStack() as held:
        home = Path(folder) / "home"
        server, link, known = held.enter_context(_server(home))
        arguments = [str(load.metrics), str(load.calls_per_s), str(load.seconds)]
        scripts = [
            held.enter_context(_script(home, PLAYER, *arguments, f"script {number}"))
            for number in range(load.scripts)
        ]
        probe = held.enter_context(_script(home, PROBE, str(load.probe_pause_s), str(load.seconds)))
        runs = [_line(script.stdout) for script in scripts]
        probed = _line(probe.stdout)
        for _ in range(load.watchers):
            held.enter_context(_watcher(known, runs, outcome))
        playwright = held.enter_context(sync_playwright())
        chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(link)
        page.wait_for_url(lambda url: "/signin" not in url, timeout=LIMIT_S * 1000)
        page.goto(f"{known['url']}/runs/{probed}")
        page.wait_for_function(SHOWS_LOSS, timeout=LIMIT_S * 1000)
        page.evaluate(PAINTED)
        with _sampled(server, home, outcome):
            for process in (*scripts, probe):
                assert process.stdin is not None
                process.stdin.write("go\n")
                process.stdin.flush()
            at = _follow(probe.stdout, page)
            ends = [json.loads(_line(script.stdout)) for script in scripts]
        painted = {int(step): when for step, when in page.evaluate("window.painted").items()}
        browser.close()
        outcome.to_pixel_ms = [1000 * (painted[step] - when) for step, when in at.items() if step in painted]
        outcome.unpainted = len(at.keys() - painted.keys())
        outcome.logged = sum(end["calls"] for end in ends) * load.metrics
        outcome.drained_s = max(end["drained_s"] for end in ends)
        outcome.stored = _stored(home, runs)
    return outcome


@contextlib.contextmanager
def _server(home: Path) -> Iterator[tuple[subprocess.Popen[str], str, dict[str, str]]]:
    command = [str(Path(sys.executable).with_name("deepevent")), "serve", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=_environment(home))
    try:
        assert server.stdout is not None
        link = ""
        for line in server.stdout:
            found = re.search(r"https?://\S+/signin#\S+", line)
            link = found[0] if found else link
            if line.startswith("Stop it with"):
                break
        if not link:
            raise SystemExit("the server did not start")
        yield server, link, json.loads((home / "server.json").read_text())
    finally:
        server.terminate()
        server.wait()


@contextlib.contextmanager
def _script(home: Path, text: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    script = subprocess.Popen(
        [sys.executable, "-c", text, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=_environment(home),
    )
    try:
        yield script
    finally:
        script.kill()
        script.wait()


def _environment(home: Path) -> dict[str, str]:
    return {**os.environ, "DEEPEVENT_HOME": str(home), "DEEPEVENT_SYSTEM_INTERVAL": "0"}


def _line(stream: TextIO | None) -> str:
    assert stream is not None
    line = stream.readline()
    if not line:
        raise SystemExit("a script that logs ended early")
    return line.strip()


@contextlib.contextmanager
def _watcher(known: dict[str, str], runs: list[str], outcome: Outcome) -> Iterator[None]:
    client = socketio.Client()
    trigger = client.eio._trigger_event
    # By itself the client starts a thread for each packet, and a header's binary part may overtake it.
    client.eio._trigger_event = lambda event, *arguments, **options: trigger(
        event, *arguments, **{**options, "run_async": False}
    )

    def take(header: dict[str, Any], data: bytes) -> None:
        if not header["series"] or not header["series"][0]["n"]:
            return
        n = header["series"][0]["n"]
        logged = struct.unpack_from("<d", data, (2 * n - 1) * 8)[0]
        outcome.to_socket_ms.append(1000 * (time.time() - logged))

    client.on("points", take)
    client.connect(
        known["url"], headers={"Authorization": f"Bearer {known['token']}"}, transports=["websocket"]
    )
    client.call("watch", {"runs": runs, "metrics": None, "after": None})
    try:
        yield
    finally:
        client.disconnect()


def _follow(stream: TextIO | None, page: Any) -> dict[int, float]:
    """Read what the probe says until it ends; give the page's last frames their time."""
    assert stream is not None
    at: dict[int, float] = {}
    for line in stream:
        step, before = line.split()
        at[int(step)] = float(before)
        page.evaluate("0")  # lets Playwright handle its events while we wait
    with contextlib.suppress(Exception):
        page.wait_for_function("(step) => window.painted[step]", arg=max(at), timeout=30_000)
    return at


@contextlib.contextmanager
def _sampled(server: subprocess.Popen[str], home: Path, outcome: Outcome) -> Iterator[None]:
    ended = threading.Event()
    started = time.monotonic()
    processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]

    def busy() -> float:
        return sum(sum(process.cpu_times()[:2]) for process in processes)

    def sample() -> None:
        before = busy()
        while not ended.wait(SAMPLE_EVERY_S):
            now = time.monotonic() - started
            outcome.memory.append((now, sum(process.memory_full_info().pss for process in processes)))
            outcome.disk.append((now, sum(_size(file) for file in home.glob("deepevent.db*"))))
            outcome.cpu = (busy() - before) / now

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _size(file: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return file.stat().st_blocks * 512
    return 0


def _stored(home: Path, runs: list[str]) -> int:
    import sqlalchemy as sa

    database = connection.open_database(f"sqlite:///{home / 'deepevent.db'}")
    try:
        table = schema.metrics
        with database.read() as reading:
            found = reading.execute(sa.select(sa.func.sum(table.c.n_points)).where(table.c.run_id.in_(runs)))
            return int(found.scalar() or 0)
    finally:
        database.close()
