"""Opens a run's writer in this process: a folder in the spool, and a thread that ships it.

The home is the place. Where it cannot be written (a read-only container), the spool goes to the temporary
folder; where nothing can be written, the run goes on with a writer that keeps nothing. Never raises for that:
a monitor that cannot write is no reason to stop a training.
"""

# Plain os functions: pathlib would be a fifth of the start of `deepevent log`.
# ruff: noqa: PTH103, PTH118

from __future__ import annotations

import os

from deepevent.errors import JournalError
from deepevent.ids import new_id
from deepevent.journal import Journal
from deepevent.notices import say_once
from deepevent.segment import SEGMENT_SIZE
from deepevent.spoolroom import SpoolRoom

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from deepevent.settings import Settings

SPOOL_FOLDER = "spool"


class NoJournal:
    """A journal that keeps nothing: monitoring is disabled, or there is no place to write."""

    folder = ""
    writer_id = ""
    last_step = 0
    next_sequence = 1

    def log(self, values: Mapping[str, object], step: int | None = None, epoch: float | None = None) -> None:
        """Keep nothing."""

    def append_points(self, values: Mapping[str, float], step: int, when: float | None = None) -> None:
        """Keep nothing."""

    def append_event(self, event: Mapping[str, object]) -> None:
        """Keep nothing."""

    def keep_blob(self, data: bytes) -> str:
        """Keep nothing."""
        return ""

    def keep_file(self, path: str) -> tuple[str, int]:
        """Keep nothing."""
        return "", 0

    def start_from(self, step: int) -> None:
        """Count nothing."""

    def seal(self) -> None:
        """End nothing."""

    def release(self) -> None:
        """End nothing."""


def open_journal(
    settings: Settings,
    run_id: str,
    rank: int,
    first_event: Mapping[str, object],
    segment_size: int = SEGMENT_SIZE,
) -> Journal | NoJournal:
    """Open a new writer of a run, in the first place that can be written."""
    writer_id = new_id()
    for home in _places(settings.home):
        spool = os.path.join(home, SPOOL_FOLDER)
        try:
            os.makedirs(home, mode=0o700, exist_ok=True)
            if home != settings.home and os.lstat(home).st_uid != os.getuid():
                raise PermissionError(f"{home} belongs to somebody else")
            os.makedirs(spool, mode=0o700, exist_ok=True)
            journal = Journal(
                os.path.join(spool, run_id, writer_id),
                run_id,
                writer_id,
                rank,
                first_event,
                strict=settings.strict,
                metric_limit=settings.metric_limit,
                segment_size=segment_size,
                room=None if segment_size < SEGMENT_SIZE else SpoolRoom(spool, settings.spool_limit_bytes),
            )
        except (OSError, JournalError) as error:
            say_once(("home", home), f"{spool} cannot be written: {error}")
            continue
        if home != settings.home:
            say_once("fallback", f"points go to {spool}; send them with 'deepevent sync --home {home}'")
        return journal
    say_once("nowhere", "there is no folder to write to, and nothing is kept: set DEEPEVENT_HOME to one")
    return NoJournal()


def _places(home: str) -> list[str]:
    temporary = os.environ.get("TMPDIR") or "/tmp"  # noqa: S108 - a folder of our own, mode 0700, below it
    name = f"deepevent-{os.getuid()}"
    return [home, os.path.join(temporary, name), os.path.join("/dev/shm", name)]  # noqa: S108
