"""Run one task in one subject's Python and print the answer as a line of JSON.

`python -P worker.py SUBJECT TASK '{"folder": …}'`. The subject's file lies beside this one and says how it is
used; what is timed, and how, stands here once and is the same for all. Standard library only: this runs in
the peers' environments.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import math
import os
import random
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SPIKE_VALUE = 1000.0
WARM_UP_CALLS = 200
REQUESTS_PER_ROUND = 5


class Unavailable(Exception):
    """The subject does not offer this; the message says why."""


def load(subject: str) -> Any:
    """Import the subject's file under a name that cannot hide the package that it uses."""
    spec = importlib.util.spec_from_file_location(f"peer_{subject}", Path(__file__).parent / f"{subject}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def values(n_metrics: int, step: int, source: random.Random, single: bool = False) -> dict[str, float]:
    """Return one step of a plausible training: falling curves with noise in every digit.

    With `single` these are the digits of a float32, as nearly every framework's loss has them.
    """
    trend = math.exp(-step / 50_000)
    step_values = [trend + source.gauss(0, 0.05) for _ in range(n_metrics)]
    if single:
        step_values = list(struct.unpack(f"{n_metrics}f", struct.pack(f"{n_metrics}f", *step_values)))
    return {f"train/metric_{index}": value for index, value in enumerate(step_values)}


def log_call(peer: Any, folder: Path, n_metrics: int, calls: int) -> dict[str, float]:
    """Time each call of `log` alone."""
    source = random.Random(7)
    steps = [values(n_metrics, step, source) for step in range(calls + WARM_UP_CALLS)]
    clock = time.perf_counter_ns
    took = []
    with contextlib.ExitStack() as stack:
        if hasattr(peer, "receiving"):  # what a log call sets going in the background belongs to its cost
            stack.enter_context(peer.receiving(folder))
        run = peer.open_run(folder, "log-call")
        for step, scalars in enumerate(steps):
            start = clock()
            run.log(scalars, step)
            took.append(clock() - start)
        run.close()
    took = sorted(took[WARM_UP_CALLS:])
    return {"median_us": took[len(took) // 2] / 1e3, "p99_us": took[len(took) * 99 // 100] / 1e3}


def end_to_end(peer: Any, folder: Path, n_metrics: int, calls: int) -> dict[str, float]:
    """Time from the first call of `log` until everything is in the peer's store and the run is closed."""
    source = random.Random(7)
    steps = [values(n_metrics, step, source) for step in range(calls)]
    with contextlib.ExitStack() as stack:
        if hasattr(peer, "receiving"):
            stack.enter_context(peer.receiving(folder))
        run = peer.open_run(folder, "end-to-end")
        start = time.perf_counter()
        for step, scalars in enumerate(steps):
            run.log(scalars, step)
        run.close()
        took = time.perf_counter() - start
    return {"points_per_s": n_metrics * calls / took}


def bytes_per_point(peer: Any, folder: Path, n_metrics: int, calls: int, single: bool) -> dict[str, float]:
    """Measure what the points add to a folder that already holds a run of one point."""
    sizes = []
    for n_calls in (1, calls):
        source = random.Random(7)
        home = folder / str(n_calls)
        home.mkdir()
        with contextlib.ExitStack() as stack:
            if hasattr(peer, "receiving"):
                stack.enter_context(peer.receiving(home))
            _in_child(
                peer, home, "bytes", [values(n_metrics, step, source, single) for step in range(n_calls)]
            )
        if hasattr(peer, "settle"):
            peer.settle(home)
        sizes.append(sum(file.stat().st_blocks * 512 for file in home.rglob("*") if file.is_file()))
    return {"bytes": (sizes[1] - sizes[0]) / (n_metrics * (calls - 1))}


def _in_child(peer: Any, home: Path, name: str, steps: list[dict[str, float]]) -> None:
    """Log in a process of its own, since some peers take their folder from the environment at import."""
    child = os.fork()
    if child == 0:
        try:
            run = peer.open_run(home, name)
            for step, scalars in enumerate(steps):
                run.log(scalars, step)
            run.close()
        except Exception as error:  # noqa: BLE001 - a child must end here, with its reason, and go no further
            (home / "failure").write_text(repr(error))
        os._exit(0)
    os.waitpid(child, 0)
    if (home / "failure").exists():
        raise RuntimeError((home / "failure").read_text())


def fill(
    peer: Any, folder: Path, runs: int, n_metrics: int, calls: int, spike: bool = False
) -> dict[str, Any]:
    """Write the runs that `curve` and `compare` read; the fastest way that the peer offers."""
    names = []
    for number in range(runs):
        source = random.Random(number)
        steps = [values(n_metrics, step, source) for step in range(calls)]
        if spike:
            steps[calls * 5 // 8 + 17] = dict.fromkeys(steps[0], SPIKE_VALUE)
        names.append(peer.write_run(folder, f"run-{number:03d}", steps))
    (folder / "runs.json").write_text(json.dumps(names))
    return {"runs": names}


def serve(peer: Any, folder: Path) -> dict[str, float]:
    """Time from the start of the server's command to its first 200, and take its memory when idle."""
    start = time.perf_counter()
    with serving(peer, folder) as (_, process):
        first = time.perf_counter() - start
        time.sleep(3)  # idle: whatever it still loads behind its first answer belongs to it
        memory = memory_mb(process.pid)
    return {"first_200_s": first, "memory_mb": memory}


def curve(peer: Any, folder: Path) -> dict[str, float]:
    """Fetch one whole curve as the peer's own page does; is the one-point spike in the answer?"""
    names = json.loads((folder / "runs.json").read_text())
    with serving(peer, folder) as (url, _):
        got = _until_data(lambda: peer.read_curve(url, names[0], "train/metric_0"))
        took = []
        for _ in range(REQUESTS_PER_ROUND):
            start = time.perf_counter()
            got = peer.read_curve(url, names[0], "train/metric_0")
            took.append(time.perf_counter() - start)
    return {
        "ms": statistics.median(took) * 1e3,
        "points": len(got),
        "spike": float(any(value == SPIKE_VALUE for value in got)),
    }


def compare(peer: Any, folder: Path, n_metrics: int) -> dict[str, float]:
    """Fetch all metrics of all runs at once, or in as few requests as the peer's page needs."""
    names = json.loads((folder / "runs.json").read_text())
    metrics = [f"train/metric_{index}" for index in range(n_metrics)]
    with serving(peer, folder) as (url, _):
        _until_data(
            lambda: range(peer.compare(url, names, metrics)), at_least=0.9 * getattr(peer, "expect", 0)
        )
        took, n_points = [], 0
        for _ in range(REQUESTS_PER_ROUND):
            start = time.perf_counter()
            n_points = peer.compare(url, names, metrics)
            took.append(time.perf_counter() - start)
    return {"ms": statistics.median(took) * 1e3, "points": n_points}


def _until_data(fetch: Any, at_least: float = 1, limit_s: float = 120) -> Any:
    """Fetch until the server has loaded what lies on its disk (some scan it in the background)."""
    deadline, last, error = time.monotonic() + limit_s, -1, None
    while time.monotonic() < deadline:
        try:
            got = fetch()
        except (urllib.error.URLError, OSError, KeyError, ValueError) as problem:
            error = problem
        else:
            if len(got) == last and last >= max(1, at_least):
                return got
            last = len(got)
        time.sleep(0.5)
    raise Unavailable(f"its server gave no data within {limit_s:.0f} s ({error or last})")


@contextlib.contextmanager
def serving(peer: Any, folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run the peer's server on a free port until it answers; end its whole process group afterwards."""
    if not hasattr(peer, "server"):
        raise Unavailable(peer.NO_SERVER)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command, environment, ready_path = peer.server(folder, port)
    url = f"http://127.0.0.1:{port}"
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=folder,
        )
    try:
        deadline = time.monotonic() + 90
        while True:
            try:
                with urllib.request.urlopen(url + ready_path, timeout=10) as answer:
                    answer.read()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    tail = log.read_text(errors="replace").strip().splitlines()[-1:]
                    raise Unavailable(f"its server did not answer: {tail}") from None
                time.sleep(0.01)
        yield url, process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def memory_mb(pid: int) -> float:
    """Return the proportional set size of a process and all its descendants."""
    total = 0
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            total += int(line.split()[1])
    children = [
        child
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]
    return total / 1024 + sum(memory_mb(int(child)) for child in children)


def request(url: str, body: Any = None, headers: dict[str, str] | None = None) -> bytes:
    """GET, or POST a JSON body; the peers' files use it."""
    data = None if body is None else json.dumps(body).encode()
    sent = urllib.request.Request(url, data, {"Content-Type": "application/json", **(headers or {})})
    with urllib.request.urlopen(sent, timeout=120) as answer:
        content: bytes = answer.read()
    return content


TASKS = {task.__name__: task for task in (log_call, end_to_end, bytes_per_point, fill, serve, curve, compare)}


def main() -> None:
    """Answer one task."""
    subject, task, arguments = sys.argv[1:4]
    given = json.loads(arguments)
    given["folder"] = folder = Path(given["folder"])
    sys.modules["worker"] = sys.modules[__name__]
    try:
        answer: dict[str, Any] = TASKS[task](load(subject), **given)
    except Unavailable as error:
        answer = {"not_measured": str(error)}
    print(json.dumps(answer), flush=True)
    shutil.rmtree(folder / "scratch", ignore_errors=True)
    os._exit(0)  # a peer's background threads are not waited for


if __name__ == "__main__":
    main()
