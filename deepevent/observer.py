"""Watches a run from a thread of its own: once what it runs on, then every few seconds how busy that is.

`start()` waits for none of it. The numbers are points of the same run with a step of their own, so they never
move the script's step counter. Must not know how facts are found out (`capture`, `machine`).
"""

from __future__ import annotations

import threading
import time

from deepevent.notices import say_once

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from deepevent.journal import Journal

CAPTURE_WAIT_S = 1.0  # what the end of a short run grants the thread to find out the rest


class Observer:
    """Watches for one writer.

    Args:
        journal: takes what is found.
        captures: find out what the run runs on.
        interval_s: between samples; 0 takes none.
        fills: these facts only fill in what nobody else has said.
        facts: to be added to those that are found.
        disk: a folder on the disk that is watched.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        captures: bool,
        interval_s: float,
        fills: bool,
        facts: Mapping[str, object] | None = None,
        disk: str = "/",
    ) -> None:
        self._journal = journal
        self._captures = captures
        self._interval_s = interval_s
        self._fills = fills
        self._facts = facts
        self._disk = disk
        self._n_samples = 0
        self._captured = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="deepevent-observer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float = CAPTURE_WAIT_S) -> None:
        """End it; facts that are just being found out get a moment more."""
        if self._thread.is_alive():
            self._captured.wait(timeout_s)
            self._stop.set()
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            if self._captures:
                self._capture()
        except Exception as error:  # noqa: BLE001 - whatever a machine has in store, the run goes on
            say_once("capture", f"what the run runs on could not be found out: {error!r}")
        self._captured.set()
        try:
            if self._interval_s > 0:
                self._watch()
        except Exception as error:  # noqa: BLE001
            say_once("system", f"the machine is not watched any more: {error!r}")

    def _capture(self) -> None:
        from deepevent.capture import DIFF_NAME, environment

        values, diff = environment(self._facts)
        if self._stop.is_set():  # too late: the writer's folder may be gone
            return
        if diff:
            blob = self._journal.keep_blob(diff)
            self._journal.append_event(
                {
                    "type": "artifact",
                    "name": DIFF_NAME,
                    "kind": "diff",
                    "blob": blob,
                    "size_bytes": len(diff),
                    "path": "uncommitted.diff",
                    "time": time.time(),
                }
            )
        self._journal.append_event({"type": "environment", "values": values, "fills": self._fills})

    def _watch(self) -> None:
        from deepevent.machine import Machine, find_source

        source = find_source()
        if source is None:
            return
        machine = Machine(source, self._disk)
        try:
            while not self._stop.wait(self._interval_s):
                self._journal.append_points(machine.sample(), self._n_samples)
                self._n_samples += 1
        finally:
            machine.close()
