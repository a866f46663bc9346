"""A real server and real scripts that can be killed, and the account of what they logged.

Fixtures of `conftest.py` hand this out; the tests say only which fault happens.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path

from deepevent.store import connection, curves

SCRIPT = Path(__file__).with_name("script.py")
DEEPEVENT = str(Path(sys.executable).parent / "deepevent")
SETTLE_S = 60.0
NOTHING_YET = -1


@dataclasses.dataclass
class Account:
    """What the store holds of what was logged."""

    logged: int
    lost: list[int]
    doubled: list[int]
    foreign: list[int]
    wrong: list[int]

    @property
    def clean(self) -> bool:
        """Whether every point is there exactly once, with its own value, and nothing else."""
        return not (self.lost or self.doubled or self.foreign or self.wrong)

    def __str__(self) -> str:
        sets = {"lost": self.lost, "doubled": self.doubled, "foreign": self.foreign, "wrong": self.wrong}
        return f"{self.logged} logged; " + ", ".join(f"{len(v)} {k} {v[:5]}" for k, v in sets.items())


class Server:
    """`deepevent serve` on a port that stays the same over restarts."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.process: subprocess.Popen[bytes] | None = None
        self.environment: dict[str, str] = {}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.log = home / "server.log"

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def token(self) -> str:
        """What a script elsewhere needs."""
        token: str = json.loads((self.home / "server.json").read_text())["token"]
        return token

    def start(self, *, wait: bool = True) -> None:
        """Start it in a process group of its own and wait for its first 200."""
        self.home.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [DEEPEVENT, "serve", "--port", str(self.port)],
                env={**_clean_environment(), "DEEPEVENT_HOME": str(self.home), **self.environment},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        if wait:
            self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Poll /healthz until it answers 200."""
        assert self.process
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(self.url + "/healthz", timeout=5):
                return
            assert self.process.poll() is None, f"the server ended: {self.tail()}"
            assert time.monotonic() < deadline, f"no answer within 30 s: {self.tail()}"
            time.sleep(0.02)

    def kill(self) -> None:
        """Kill -9 the whole process group."""
        if self.process:
            _kill_group(self.process)
            self.process = None

    def stop(self) -> None:
        """Ask it to stop, and insist that it does."""
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(20)
            finally:
                self.kill()

    def tail(self) -> str:
        """The end of what it printed."""
        return self.log.read_text(errors="replace")[-2000:]


class Script:
    """One process that logs to a run, with its ledger."""

    def __init__(self, home: Path, ledger: Path, *arguments: str, **environment: str) -> None:
        self._ledger = ledger
        ledger.write_bytes(struct.pack("<qq", NOTHING_YET, NOTHING_YET))
        self.output = ledger.with_suffix(".out")
        home.mkdir(parents=True, exist_ok=True)
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(SCRIPT), "--ledger", str(ledger), *arguments],
                env={**_clean_environment(), "DEEPEVENT_HOME": str(home), **environment},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def run_id(self) -> str:
        """The id of its run; there once the first point is logged."""
        return self._ledger.with_suffix(".run").read_text()

    @property
    def handed(self) -> int:
        """The last step that was handed to `log`."""
        return int(struct.unpack("<qq", self._ledger.read_bytes())[0])

    @property
    def returned(self) -> int:
        """The last step for which `log` has returned."""
        return int(struct.unpack("<qq", self._ledger.read_bytes())[1])

    def wait_for(self, step: int, limit_s: float = 30) -> None:
        """Wait until a step has been logged."""
        deadline = time.monotonic() + limit_s
        while self.returned < step:
            assert self.process.poll() in (None, 0) or self.returned >= step, self.printed()
            assert time.monotonic() < deadline, f"step {step} not logged within {limit_s} s: {self.printed()}"
            time.sleep(0.002)

    def kill(self) -> None:
        """Kill -9."""
        _kill_group(self.process)

    def finish(self, limit_s: float = 120) -> None:
        """Wait for its own end, which must be a good one."""
        code = self.process.wait(limit_s)
        assert code == 0, f"the script ended with {code}: {self.printed()}"

    def printed(self) -> str:
        """What it printed."""
        return self.output.read_text(errors="replace")[-2000:]


def sync(home: Path, **environment: str) -> None:
    """Ship what abandoned spools hold: `deepevent sync`."""
    done = subprocess.run(
        [DEEPEVENT, "sync"],
        env={**_clean_environment(), "DEEPEVENT_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr + done.stdout


def stored_steps(home: Path, run_id: str, rank: int = 0) -> list[tuple[int, float]]:
    """Read every raw point of the run's one metric out of a home's store, in order of arrival."""
    database = connection.open_database(f"sqlite:///{home / 'deepevent.db'}")
    try:
        found: list[tuple[int, float]] = []
        while True:
            points = curves.read_points(database, run_id, "value", rank=rank, after_index=len(found))
            if not len(points.steps):
                return found
            found += zip(map(int, points.steps), map(float, points.values), strict=True)
    finally:
        database.close()


def account(home: Path, run_id: str, spans: list[tuple[int, int, int]]) -> Account:
    """Compare the store with the ledgers, once everything that must come has come, or a minute has passed.

    Args:
        home: the server's.
        run_id: the run that all spans belong to.
        spans: per process: first step, last step handed to `log`, last step for which it returned.
    """
    must = {step for first, _, returned in spans for step in range(first, returned + 1)}
    may = must | {handed for _, handed, _ in spans if handed != NOTHING_YET}
    deadline = time.monotonic() + SETTLE_S
    while True:
        try:
            points = stored_steps(home, run_id)
        except Exception:
            if time.monotonic() > deadline:
                raise
            points = []
        counts = Counter(step for step, _ in points)
        lost = sorted(must - counts.keys())
        if not lost or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    return Account(
        logged=len(must),
        lost=lost,
        doubled=sorted(step for step, n in counts.items() if n > 1),
        foreign=sorted(counts.keys() - may),
        wrong=sorted(step for step, value in points if value != value_of(step)),
    )


def value_of(step: int) -> float:
    """Return the value that belongs to a step; the same as in `script.py`."""
    return (step * 2654435761 % 2**31) / 2**20 + step


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)


def _clean_environment() -> dict[str, str]:
    return {
        key: value for key, value in os.environ.items() if not key.startswith("DEEPEVENT_") and key != "RANK"
    }
