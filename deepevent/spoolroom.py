"""How much the spool may hold: a run that logs for days without a server must not fill the disk."""

from __future__ import annotations

import errno
import os
from time import monotonic

MEASURE_INTERVAL_S = 5.0


class SpoolRoom:
    """The bytes that are left to this process under the limit of its home.

    Measuring walks the whole spool, so it happens at the start and when the room seems to be used up.
    """

    def __init__(self, spool: str, limit_bytes: int) -> None:
        self._spool = spool
        self._limit_bytes = limit_bytes
        self._left_bytes = 0
        self._measured_at = -MEASURE_INTERVAL_S

    def take(self, size_bytes: int) -> None:
        """Take room for a file.

        Raises:
            OSError: there is not so much left.
        """
        if self._left_bytes < size_bytes and monotonic() - self._measured_at >= MEASURE_INTERVAL_S:
            self._left_bytes = self._limit_bytes - spool_size(self._spool)
            self._measured_at = monotonic()
        if self._left_bytes < size_bytes:
            raise OSError(
                errno.EDQUOT,
                f"the spool's limit of {self._limit_bytes} bytes is reached: start a server, run "
                "'deepevent sync', or raise DEEPEVENT_SPOOL_LIMIT",
            )
        self._left_bytes -= size_bytes

    def give_back(self, size_bytes: int) -> None:
        """Return room that was taken for a file that could not be made."""
        self._left_bytes += size_bytes


def spool_size(folder: str) -> int:
    """Bytes on disk of all files below a folder."""
    total = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    total += spool_size(entry.path)
                else:
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
    except OSError:  # tidied away while we look
        return total
    return total
