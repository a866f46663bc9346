"""`deepevent demo` as a person runs it: figures, reasons, and no process left behind, whatever is killed."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deepevent.serverapi import ServerApi, find
from deepevent.settings import Settings
from deepevent.store import connection, jobs
from deepevent_trainer.children import COMMAND

WAIT_S = 90


def environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("DEEPEVENT_")}


def demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the demo to its end."""
    return subprocess.run(
        [*COMMAND, "demo", "--once", *arguments],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=170,
    )


def belonging(home: Path) -> dict[int, str]:
    """All processes of a demo: what they run, by number."""
    found = {}
    for folder in Path("/proc").iterdir():
        try:
            if f"DEEPEVENT_HOME={home}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, ValueError):
            continue
    return found


def wait_for(condition: Callable[[], Any]) -> Any:
    """Look until it holds, which no event tells of."""
    deadline = time.monotonic() + WAIT_S
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.1)
    return found


def test_the_demo_trains_by_jobs_and_reads_its_figures_back(tmp_path: Path) -> None:
    """One epoch each: exit 0, both nets' figures, the seconds, the address, two jobs, no process left."""
    done = demo(tmp_path, "--epochs", "1", "--port", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"Trained in [\d.]+ s, as read back from (http://127\.0\.0\.1:\d+):", done.stdout)
    assert "eileen_collins: 1 of 1 faces found" in done.stdout
    assert "first committed point after" in done.stdout
    assert re.search(r"det12: 1 epochs, validation accuracy 0\.\d+ \(240 faces of 32", done.stdout)
    assert re.search(r"cal12: 1 epochs, validation accuracy 0\.\d+ .* overlap 0\.605 before", done.stdout)
    assert re.search(r"/signin#\S+", done.stdout)
    home = tmp_path / ".demo"
    assert not (home / "server.json").exists()
    assert belonging(home) == {}
    db = connection.open_database(f"sqlite:///{home / 'deepevent.db'}")
    second, first = jobs.list_jobs(db).jobs
    db.close()
    assert [(job["recipe"], job["state"], job["attempt"]) for job in (first, second)] == [
        ("train-det12", "completed", 1),
        ("train-cal12", "completed", 1),
    ]
    assert second["parameters"]["det12"] == f"{first['run']}/work/det12.pt"


@contextmanager
def running(home: Path) -> Iterator[ServerApi]:
    """A demo that trains, and the API of its server; killed with kill -9."""
    process = subprocess.Popen(
        [*COMMAND, "demo", "--home", str(home), "--port", "0"],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(lambda: (home / "server.json").exists() or process.poll() is not None)
        assert process.poll() is None, process.communicate()[1]
        yield ServerApi(find(Settings({"home": str(home), "url": "", "token": ""}, {})))
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()


def test_a_killed_demo_takes_all_its_processes_along(tmp_path: Path) -> None:
    """A killed agent comes back by itself; kill -9 of the demo ends everything; the next one begins anew."""
    home = tmp_path / "home"

    def training() -> list[int]:
        return [number for number, line in belonging(home).items() if " train det12 " in line]

    with running(home) as api:
        wait_for(training)
        agent = next(number for number, line in belonging(home).items() if " agent --name demo" in line)
        os.kill(agent, signal.SIGKILL)
        wait_for(lambda: len(api.call("GET", "/agents")["agents"]) == 2)
        wait_for(lambda: api.call("GET", "/jobs/1")["attempts"][0]["state"] == "lost")
    wait_for(lambda: not belonging(home))
    (home / "server.json").unlink(missing_ok=True)
    with running(home) as api:
        wait_for(lambda: len(api.call("GET", "/jobs")["jobs"]) == 4)
        states = {job["id"]: job["state"] for job in api.call("GET", "/jobs")["jobs"]}
        assert (states[1], states[2]) == ("stopped", "stopped")
        assert {states[3], states[4]} <= {"queued", "claimed", "running"}
    wait_for(lambda: not belonging(home))


def test_a_demo_that_fails_says_why_in_one_sentence(tmp_path: Path) -> None:
    """A port that is taken and data that is not there: exit 1, and the reason."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = demo(tmp_path, "--port", port)
    assert done.returncode == 1
    assert f"the server did not start: port {port} is taken by another program" in done.stderr
    done = demo(tmp_path, "--port", "0", "--data", "none")
    assert done.returncode == 1
    assert done.stderr == "deepevent demo: --data 'none' is not a folder\n"
    (tmp_path / "empty").mkdir()
    done = demo(tmp_path, "--port", "0", "--data", "empty")
    assert done.returncode == 1
    assert "job 1, det12 (demo), is failed: it ended with exit code 1" in done.stderr
    assert sys.executable not in done.stderr
