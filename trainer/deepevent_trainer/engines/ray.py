"""The engine that runs attempts on an existing Ray cluster, each in an actor with the job's resources.

Ray chooses the machine and waits until there is room; there, the attempt runs below the same supervisor as
on the agent's own machine, so nothing is left behind. The cluster's machines need this package, and for jobs
that shall go on from a checkpoint a home folder that they share. Must not know the server or the queue.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

from deepevent.errors import SettingsError
from deepevent_trainer.engines import Outcome, ReadOutput, Task
from deepevent_trainer.engines.local import LocalEngine, LocalExecution, read_outcome

NAMESPACE = "deepevent"
WAIT_S = 2.0
THREADS = 4
MAX_WAITING = 8 << 20
"""Characters of output that wait for the agent; then the job's own prints wait."""
# A supervisor whose worker died ends its job within three seconds (ORPHAN_GRACE_S).
LAST_WORDS_S = 5.0
INSTALL = "--engine ray needs the package ray: pip install 'deepevent-monitor[ray]'"


class Attempt:
    """One attempt on a machine of the cluster; its methods are called from the agent, several at a time."""

    def __init__(self) -> None:
        self._pieces: list[tuple[str, str]] = []
        self._size = 0
        self._changed = threading.Condition()
        self._execution: LocalExecution | None = None
        self._ended = False

    def start(self, task: Task) -> None:
        """Start it, with those GPUs of this machine that Ray has set aside."""
        import ray

        gpus = tuple(ray.get_runtime_context().get_accelerator_ids().get("GPU", []))
        task.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._execution = LocalEngine(detached=True).start(replace(task, gpus=gpus), self._put, self._end)

    def read(self) -> tuple[list[tuple[str, str]], Outcome | None]:
        """Wait a little for output or the end, and give what there is."""
        with self._changed:
            self._changed.wait_for(lambda: self._pieces or self._ended, WAIT_S)
            pieces, self._pieces, self._size = self._pieces, [], 0
            self._changed.notify_all()
            ended = self._ended and not pieces
        return pieces, self._execution.outcome() if ended and self._execution else None

    def tell(self, wish: str) -> None:
        """Pass on `stop`, `kill` or `beat`."""
        if self._execution is not None:
            getattr(self._execution, wish)()

    def _put(self, stream: str, text: str) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._size < MAX_WAITING)
            self._pieces.append((stream, text))
            self._size += len(text)
            self._changed.notify_all()

    def _end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()


class RayExecution:
    """The agent's side of an attempt: one actor, and the thread that follows it."""

    def __init__(
        self, ray: ModuleType, task: Task, read_output: ReadOutput, on_end: Callable[[], None]
    ) -> None:
        self._ray, self._task = ray, task
        self._read_output, self._on_end = read_output, on_end
        self._outcome: Outcome | None = None
        self._stop_wanted = threading.Event()
        self._placed = False
        memory = {} if task.memory_mb is None else {"memory": task.memory_mb * 2**20}
        actor = ray.remote(Attempt).options(
            num_cpus=task.cpus, num_gpus=len(task.gpus), max_concurrency=THREADS, max_restarts=0, **memory
        )
        self._actor: Any = actor.remote()
        threading.Thread(target=self._follow, name=f"{task.name} on Ray", daemon=True).start()

    def outcome(self) -> Outcome | None:
        """Give the end, or None while it runs or waits for room in the cluster."""
        return self._outcome

    def stop(self) -> None:
        """Ask for the end; at once while it waits for room."""
        self._stop_wanted.set()
        self._tell("stop")

    def kill(self) -> None:
        """End all of it now."""
        self._stop_wanted.set()
        self._tell("kill")

    def beat(self) -> None:
        """Tell the supervisor that the agent lives."""
        self._tell("beat")

    def _tell(self, wish: str) -> None:
        if self._placed:
            with contextlib.suppress(self._ray.exceptions.RayError, RuntimeError):
                self._actor.tell.remote(wish)

    def _follow(self) -> None:
        errors = self._ray.exceptions
        try:
            self._outcome = self._wait_for_room() or self._pass_on_output()
        except errors.RayTaskError as error:
            self._outcome = Outcome("failed", None, f"it could not be started: {_last_line(error)}")
        except (errors.RayError, RuntimeError) as error:
            self._outcome = self._last_words(error)
        with contextlib.suppress(errors.RayError, RuntimeError):
            self._ray.kill(self._actor)  # all its processes have ended
        self._on_end()

    def _wait_for_room(self) -> Outcome | None:
        """Return once Ray has found a place and the attempt runs; an outcome if it was stopped before."""
        started = self._actor.start.remote(self._task)
        while not self._ray.wait([started], timeout=0.2)[0]:
            if self._stop_wanted.is_set():
                return Outcome("stopped", None, "it waited for room in the Ray cluster")
        self._ray.get(started)
        self._placed = True
        if self._stop_wanted.is_set():
            self._tell("stop")
        return None

    def _pass_on_output(self) -> Outcome:
        heard = time.monotonic()
        while True:
            try:
                pieces, outcome = self._ray.get(self._actor.read.remote())
            except self._ray.exceptions.ActorUnavailableError:
                # The network to it is down. Without signs of life, its supervisor ends it by itself.
                if time.monotonic() - heard > self._task.silence_s:
                    raise
                time.sleep(WAIT_S / 4)
                continue
            heard = time.monotonic()
            for stream, text in pieces:
                self._read_output(stream, text)
            if outcome is not None:
                found: Outcome = outcome
                return found

    def _last_words(self, error: Exception) -> Outcome:
        """Say that the worker died, once its supervisor has had the time to end what it started."""
        deadline = time.monotonic() + LAST_WORDS_S
        while time.monotonic() < deadline and read_outcome(self._task.records) is None:
            time.sleep(0.1)
        return Outcome("lost", None, f"its Ray worker died: {type(error).__name__}")


class RayEngine:
    """Runs attempts on the cluster at an address.

    Raises:
        SettingsError: Ray is not installed, or no cluster answers.
    """

    def __init__(self, address: str) -> None:
        try:
            import ray
        except ModuleNotFoundError as error:
            raise SettingsError(INSTALL) from error
        self._ray: Any = ray
        try:
            ray.init(address=address, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise SettingsError(
                f"no Ray cluster answers at {address!r}: give --ray-address or RAY_ADDRESS the address "
                f"that `ray start --head` printed ({_last_line(error)})"
            ) from error

    def capacity(self) -> tuple[int, tuple[int, ...], int]:
        """Return the cluster's processors, numbers for its GPUs, and its memory in MB."""
        found = self._ray.cluster_resources()
        gpus = tuple(range(int(found.get("GPU", 0))))
        return int(found.get("CPU", 0)), gpus, int(found.get("memory", 0)) // 2**20

    def start(self, task: Task, read_output: ReadOutput, on_end: Callable[[], None]) -> RayExecution:
        """Give an attempt to the cluster.

        Raises:
            OSError: the cluster does not answer any more.
        """
        try:
            return RayExecution(self._ray, task, read_output, on_end)
        except (self._ray.exceptions.RayError, RuntimeError) as error:
            raise OSError(f"the Ray cluster does not answer: {_last_line(error)}") from error

    def close(self) -> None:
        """Leave the cluster."""
        self._ray.shutdown()


def _last_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else type(error).__name__
