"""What a script holds: a run, and its writer in this process.

`Run` turns calls into journal records and does nothing else; the journal keeps them, the shipper sends
them. A call never raises for anything but the caller's own mistake, and that only in strict mode. Names and
signatures are fixed by DESIGN §3.
"""

from __future__ import annotations

import os
import sys
import time

from deepevent.harmless import harmless
from deepevent.jsontext import plain
from deepevent.liveruns import forget_run, live_runs
from deepevent.notices import say_once
from deepevent.runmedia import MediaLogging
from deepevent.runstate import JournaledDict, JournaledTags
from deepevent.segment import SEGMENT_SIZE
from deepevent.writer import NoJournal, open_journal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType
    from typing import Any, Self

    from deepevent.endpoint import Endpoint
    from deepevent.journal import Journal
    from deepevent.observer import Observer
    from deepevent.settings import Settings
    from deepevent.shipper import Shipper
    from deepevent.tee import Tees

STATUSES = ("completed", "failed", "stopped")
LEVELS = ("info", "warning", "error")
TRACEBACK_LIMIT = 64 << 10


class Run(MediaLogging):
    """A run that is being logged.

    Attributes:
        id: 26 characters.
        name, project: as people call it; None in a process that joined the run by its id.
        config, summary: dicts whose changes are sent.
        tags: a set whose changes are sent.
        rank: of this process among those that log to the run.
    """

    def __init__(
        self,
        settings: Settings,
        run_id: str,
        *,
        name: str | None,
        project: str | None,
        first_event: Mapping[str, object],
        finishes: bool = True,
        endpoint: Endpoint | None = None,
        in_background: bool = True,
        segment_size: int = SEGMENT_SIZE,
    ) -> None:
        """Scripts call `deepevent.start` instead.

        Args:
            settings: in force for this run.
            run_id: the run.
            name: what people call it.
            project: where it belongs.
            first_event: the `run` event of docs/formats.md.
            finishes: the end of this process is the end of the run.
            endpoint: where to ship to; None keeps everything in the spool.
            in_background: ship from a thread; else nothing is sent before `ship_now`.
            segment_size: of the journal.
        """
        self.settings = settings
        self.id = run_id
        self.name = name
        self.project = project
        self.rank = settings.rank
        self.finished = False
        self.finishes = finishes
        self._endpoint = endpoint
        self._first_event = dict(first_event)
        self._in_background = in_background
        self._segment_size = segment_size
        self._shipper: Shipper | None = None
        self._observer: Observer | None = None
        self._tees: Tees | None = None
        self._journal: Journal | NoJournal | UnopenedJournal
        self.config = JournaledDict(self._record_config)
        self.summary = JournaledDict(self._record_summary)
        self.tags = JournaledTags((), self._record_tags)
        self._open_writer()

    def _open_writer(self) -> None:
        if self.settings.mode == "disabled":
            self._journal = NoJournal()
            return
        event = {**self._first_event, "pid": os.getpid()}
        journal = open_journal(self.settings, self.id, self.rank, event, self._segment_size)
        self._journal = journal
        self._shipper = None
        if not isinstance(journal, NoJournal) and self._in_background:
            from deepevent.shipper import Shipper

            self._shipper = Shipper(journal, self._endpoint)
            try:
                self._shipper.start()
            except RuntimeError as error:  # no thread can be started any more: the spool keeps everything
                say_once("thread", f"shipping is off: {error}")

    # ---- Logging -----------------------------------------------------------------------------------------

    def log(self, values: Mapping[str, Any], step: int | None = None, epoch: float | None = None) -> None:
        """Log numbers under their names.

        Args:
            values: name → number: anything with `float()` or `item()`. A number on an accelerator is read
                later, on another thread, so that the caller does not wait for it; its point keeps the step
                and time of this call.
            step: from 0 on; without one, the calls count by themselves. It may repeat or go back.
            epoch: logged as the metric `epoch`.
        """
        self._journal.log(values, step, epoch)

    @harmless
    def log_at(self, values: Mapping[str, float], step: int, when: float) -> None:
        """Log numbers of another time, in seconds since 1970: for what brings the past along."""
        self._journal.append_points(values, step, when)

    @harmless
    def alert(self, title: str, text: str = "", level: str = "warning") -> None:
        """Tell people something: `level` is info, warning or error."""
        if level not in LEVELS:
            raise ValueError(f"an alert's level is one of {', '.join(LEVELS)}, got {level!r}")
        event = {"type": "alert", "title": str(title)[:250], "text": str(text)[:10_000], "level": level}
        self._journal.append_event({**event, "time": time.time()})

    @harmless
    def log_output(self, stream: str, text: str) -> None:
        """Log a piece of what the program printed to `stdout` or `stderr`."""
        if stream not in ("stdout", "stderr"):
            raise ValueError(f"a stream is stdout or stderr, got {stream!r}")
        self._journal.append_event({"type": "log", "stream": stream, "text": text, "time": time.time()})

    # ---- What the run is ---------------------------------------------------------------------------------

    @harmless
    def _record_config(self, values: dict[str, object]) -> None:
        self._journal.append_event({"type": "config", "values": values})

    @harmless
    def _record_summary(self, values: dict[str, object]) -> None:
        self._journal.append_event({"type": "summary", "values": values})

    @harmless
    def _record_tags(self, tags: list[str]) -> None:
        self._journal.append_event({"type": "tags", "tags": tags})

    @harmless
    def set_notes(self, notes: str) -> None:
        """Replace the run's notes."""
        self._journal.append_event({"type": "notes", "notes": str(notes)})

    @harmless
    def record_environment(self, values: dict[str, object]) -> None:
        """Say more of what the run runs on; merged into what is known, key by key."""
        self._journal.append_event({"type": "environment", "values": plain(values), "fills": False})

    @property
    def folder(self) -> str:
        """Where this process's part of the run lies in the spool."""
        return self._journal.folder

    @property
    def endpoint(self) -> Endpoint | None:
        """The server that this run is sent to, if it is sent at all."""
        return self._endpoint

    @property
    def should_stop(self) -> bool:
        """Whether somebody pressed Stop; a training loop looks at this now and then."""
        return self._shipper is not None and self._shipper.should_stop

    @property
    def url(self) -> str | None:
        """Address of the run's page, as far as a server is known."""
        if self._endpoint is None:
            return None
        self._endpoint.refresh()
        return f"{self._endpoint.url}/runs/{self.id}" if self._endpoint.url else None

    def observe(self, *, captures: bool, samples: bool, fills: bool) -> None:
        """Find out in the background what the run runs on, and how busy the machine is.

        Args:
            captures: commit, packages, machine.
            samples: CPU, memory, disk, network, GPUs, every few seconds.
            fills: what was found out only fills in what nobody else has said.
        """
        settings, journal = self.settings, self._journal
        interval_s = settings.system_interval_s if samples else 0.0
        captures = captures and settings.capture
        if isinstance(journal, NoJournal) or not (captures or interval_s):
            return
        from deepevent.observer import Observer

        self._observer = Observer(
            journal,  # type: ignore[arg-type]
            captures=captures,
            interval_s=interval_s,
            fills=fills,
            disk=settings.home,
        )
        try:
            self._observer.start()
        except RuntimeError as error:  # no thread can be started any more
            self._observer = None
            say_once("thread", f"the machine is not watched: {error}")

    def capture_output(self) -> None:
        """Log what this process prints from now on, line by line; the terminal gets it as before."""
        if self._tees is None and not isinstance(self._journal, NoJournal):
            from deepevent.tee import Tees

            self._tees = Tees(self.log_output)

    # ---- The end -----------------------------------------------------------------------------------------

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until the server has everything that was logged so far.

        Args:
            timeout: seconds; None waits as long as a server answers.

        Returns:
            Whether it has; if not, the spool still has.
        """
        return self._shipper.flush(timeout) if self._shipper is not None else False

    def finish(self, status: str = "completed") -> None:
        """End the run: `completed`, `failed` or `stopped`. A second call does nothing.

        Waits for the server no longer than DEEPEVENT_EXIT_TIMEOUT; what it does not have by then stays in the
        spool.
        """
        self.finish_as(status, None)

    @harmless
    def finish_as(self, status: str, traceback: str | None) -> None:
        """End the run as `finish` does, and say what went wrong."""
        if self.finished:
            return
        if status not in STATUSES:
            raise ValueError(f"a run ends as one of {', '.join(STATUSES)}, got {status!r}")
        self.finished = True
        self._stop_watching()
        journal = self._journal
        if self.finishes or traceback is not None:
            journal.append_event(
                {"type": "finish", "status": status, "traceback": traceback, "time": time.time()}
            )
        self.close_writer()
        forget_run(self)

    def _stop_watching(self) -> None:
        if self._tees is not None:
            self._tees.close()
        if self._observer is not None:
            self._observer.stop()
        self._tees = self._observer = None

    def close_writer(self) -> None:
        """End this process's part of the run and leave the spool to whoever comes, without ending the run."""
        self._stop_watching()
        journal, shipper = self._journal, self._shipper
        journal.seal()
        if shipper is not None and shipper.finish(self.settings.exit_timeout_s):
            from deepevent.spoolfolder import remove_writer

            remove_writer(journal.folder)
        journal.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish_with(error)

    def finish_with(self, error: BaseException | None) -> None:
        """End the run as a program does that ends with this exception, or with none."""
        if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
            self.finish_as("completed", None)
        elif isinstance(error, KeyboardInterrupt):
            self.finish_as("stopped", None)
        else:
            import traceback

            text = "".join(traceback.format_exception(error))
            self.finish_as("failed", text[-TRACEBACK_LIMIT:])

    # ---- Other processes ---------------------------------------------------------------------------------

    def enter_child(self) -> None:
        """After fork(), in the child: the first record opens a writer of its own."""
        self._shipper = self._observer = None
        if self._tees is not None:
            self._tees.silence()
            self._tees = None
        self.finishes = False
        if not isinstance(self._journal, NoJournal):
            self._journal = UnopenedJournal(self)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled into another process, a run becomes another writer of the same run."""
        flags = {name: getattr(self.settings, name) for name in ("home", "url", "token", "mode", "rank")}
        return _join_pickled, (self.id, self.name, self.project, flags)

    def __repr__(self) -> str:
        return f"<deepevent.Run {self.id} {self.name or ''}>"


class UnopenedJournal:
    """Stands in a forked child for the journal that the first use opens; most children never log."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def __getattr__(self, name: str) -> Any:
        if name in ("seal", "release"):
            return lambda: None
        run = self._run
        if run._journal is self:
            run._open_writer()
            _at_child_exit(run)
        return getattr(run._journal, name)


def _at_child_exit(run: Run) -> None:
    """Have a multiprocessing child, which skips atexit, close its writer."""
    if "multiprocessing" in sys.modules:
        from multiprocessing.util import Finalize

        Finalize(None, run.close_writer, exitpriority=10)


def _join_pickled(run_id: str, name: str | None, project: str | None, flags: dict[str, object]) -> Run:
    for run in live_runs:
        if run.id == run_id and not run.finished:
            return run
    from deepevent.starting import join

    return join(run_id, name=name, project=project, flags=flags)


def set_tags(run: Run, tags: Iterable[str]) -> None:
    """Give a run tags that its first event already names."""
    run.tags = JournaledTags(tags, run._record_tags)
