"""Logging from several threads, from signal handlers and from forked children, and interruptions of it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

import deepevent
from deepevent.journal import Journal
from deepevent.segment import segment_numbers

MakeJournal = Callable[..., Journal]
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")  # Python 3.12 on fork
ReadPoints = Callable[[str], list[tuple[int, dict[str, float]]]]


def writers_of(home: Path, run: deepevent.Run) -> list[Path]:
    return sorted(path for path in (home / "spool" / run.id).iterdir() if path.is_dir())


def test_several_threads(make_journal: MakeJournal, read_points: ReadPoints) -> None:
    """Threads that log at once lose nothing, and each one's points stay in its order."""
    journal = make_journal(segment_size=65_536)
    n_threads, n_calls = 4, 3000
    together = threading.Barrier(n_threads)

    def work(number: int) -> None:
        together.wait()
        for step in range(n_calls):
            journal.log({f"thread/{number}": float(step)}, step)
            if step % 500 == 0:
                journal.tend()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(n_threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    points = read_points(journal.folder)
    assert len(points) == n_threads * n_calls
    for number in range(n_threads):
        steps = [step for step, values in points if f"thread/{number}" in values]
        assert steps == list(range(n_calls))


class Ticking:
    """Real signals, every fraction of a millisecond of CPU time; the handler runs only in files named so."""

    def __init__(self, handler: Callable[[], None], only_in: str = "", interval_s: float = 0.0002) -> None:
        self.n = 0

        def tick(_: int, frame: FrameType | None) -> None:
            if frame is not None and only_in in frame.f_code.co_filename:
                self.n += 1
                handler()

        self._tick, self._interval_s = tick, interval_s

    def __enter__(self) -> Ticking:
        self._before = signal.signal(signal.SIGPROF, self._tick)
        signal.setitimer(signal.ITIMER_PROF, self._interval_s, self._interval_s)
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, self._before)


def test_log_in_a_signal_handler(make_journal: MakeJournal, read_points: ReadPoints) -> None:
    """A handler that logs in the middle of a log call of the same thread neither deadlocks nor corrupts."""
    journal = make_journal(segment_size=16_384)
    n_handled = 0

    def handler() -> None:
        nonlocal n_handled
        journal.log({"signal": float(n_handled), "more": 1}, n_handled)
        n_handled += 1

    step = 0
    with Ticking(handler) as ticking:
        while ticking.n < 25 and step < 3_000_000:
            journal.log({"loop": float(step)}, step)
            step += 1
    assert n_handled >= 10
    points = read_points(journal.folder)
    assert [values["loop"] for _, values in points if "loop" in values] == list(map(float, range(step)))
    assert [values["signal"] for _, values in points if "signal" in values] == list(
        map(float, range(n_handled))
    )


def test_a_handler_logs_in_the_middle_of_a_log(make_journal: MakeJournal, read_points: ReadPoints) -> None:
    """A value whose conversion logs by itself is the same case, and happens every time."""
    journal = make_journal()

    class Number:
        def __float__(self) -> float:
            journal.log({"inner": 1.0}, 5)
            journal.append_event({"type": "alert"})
            return 2.0

    journal.log({"outer": Number()}, 4)
    assert read_points(journal.folder) == [(4, {"outer": 2.0}), (5, {"inner": 1.0})]


def test_keyboard_interrupt_anywhere(make_journal: MakeJournal, read_points: ReadPoints) -> None:
    """An exception out of a signal handler, wherever it strikes, leaves a journal that goes on."""
    journal = make_journal(segment_size=16_384)
    returned: list[int] = []
    step = 0

    def interrupt() -> None:
        raise KeyboardInterrupt

    n_interrupts = 0
    while n_interrupts < 15:
        try:
            with Ticking(interrupt, only_in="/deepevent/"):
                while True:
                    step += 1
                    journal.log({"a": float(step), "b": 0.0}, step)
                    returned.append(step)
        except KeyboardInterrupt:
            n_interrupts += 1
    journal.log({"a": -1.0, "b": 0.0}, 0)
    steps = [step for step, _ in read_points(journal.folder)]
    assert steps.pop() == 0
    assert set(returned) <= set(steps)
    assert len(steps) == len(set(steps))


def test_a_forked_child_becomes_its_own_writer(home: Path, read_points: ReadPoints) -> None:
    """A child that logs after fork() is a second writer of the run; the parent's journal is untouched."""
    run = deepevent.start(name="fork")
    run.log({"parent": 1.0}, step=1)
    pid = os.fork()
    if pid == 0:
        try:
            deepevent.log({"child": 2.0}, step=2)
            run.close_writer()
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    run.log({"parent": 3.0}, step=3)
    first, second = writers_of(home, run)
    assert read_points(str(first)) == [(1, {"parent": 1.0}), (3, {"parent": 3.0})]
    assert read_points(str(second)) == [(2, {"child": 2.0})]


def test_a_child_that_does_not_log_leaves_no_trace(home: Path) -> None:
    """Most forked children never log: they make no folder, and do not hold the parent's lock."""
    run = deepevent.start(name="quiet")
    release, hold = os.pipe()
    ready, announce = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(hold)
        os.write(announce, b"x")
        os.read(release, 1)
        os._exit(0)
    os.close(release)
    os.read(ready, 1)  # until then the child has not got to the end of fork()
    os.close(ready)
    os.close(announce)
    folder = Path(run.folder)
    run.finish()
    import fcntl

    with (folder / "lock").open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the child does not have it
    assert writers_of(home, run) == [folder]
    os.close(hold)
    os.waitpid(pid, 0)


def test_fork_while_other_threads_log(home: Path, read_points: ReadPoints) -> None:
    """fork() in the middle of other threads' log calls neither hangs the child nor harms the parent."""
    run = deepevent.start(name="busy")
    ending = threading.Event()
    counts = [0, 0]

    def work(number: int) -> None:
        while not ending.is_set():
            run.log({f"t{number}": float(counts[number])}, counts[number])
            counts[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    pids = []
    for number in range(10):
        pid = os.fork()
        if pid == 0:
            run.log({"child": float(number)}, number)
            run.close_writer()
            os._exit(0)
        pids.append(pid)
    for pid in pids:
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    ending.set()
    for thread in threads:
        thread.join()
    parent, *children = writers_of(home, run)
    assert len(children) == 10
    assert sorted(read_points(str(child))[0][0] for child in children) == list(range(10))
    assert len(read_points(str(parent))) == sum(counts)


def log_in_worker(run: deepevent.Run, number: int) -> str:
    run.log({"worker": float(number)}, step=number)
    return run.folder


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_multiprocessing_workers_join_the_run(home: Path, method: str, read_points: ReadPoints) -> None:
    """A run handed to a worker process is another writer of the same run, and its points are kept."""
    run = deepevent.start(name="workers")
    context = multiprocessing.get_context(method)
    with context.Pool(2) as pool:
        folders = pool.starmap(log_in_worker, [(run, number) for number in range(4)])
        pool.close()
        pool.join()
    assert run.folder not in folders
    found = [step for folder in set(folders) for step, _ in read_points(folder)]
    assert sorted(found) == [0, 1, 2, 3]
    assert {Path(folder).parent.name for folder in folders} == {run.id}


def test_segments_follow_one_another_without_a_gap(
    make_journal: MakeJournal, read_points: ReadPoints
) -> None:
    """Many small segments, prepared in the background and not, hold every point once."""
    journal = make_journal(segment_size=4096)
    for step in range(5000):
        journal.log({"a": float(step)}, step)
        if step % 7 == 0:
            journal.tend()
    assert len(segment_numbers(journal.folder)) > 40
    assert [step for step, _ in read_points(journal.folder)] == list(range(5000))


def test_spare_segments_are_never_mixed_up(make_journal: MakeJournal, read_points: ReadPoints) -> None:
    """A thread that prepares segments as fast as others use them up costs no point."""
    journal = make_journal(segment_size=4096)
    ending = threading.Event()

    def tend() -> None:
        while not ending.is_set():
            journal.tend()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=tend)
    thread.start()
    try:
        for step in range(20_000):
            journal.log({"a": float(step)}, step)
    finally:
        ending.set()
        thread.join()
        sys.setswitchinterval(interval)
    assert [step for step, _ in read_points(journal.folder)] == list(range(20_000))
