"""What is logged while the disk is full: bounded, oldest out first, and counted."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import deque
    from typing import Any

    Entry = tuple[Any, ...]

RING_LIMIT = 65_536


class MemoryRing:
    """Log calls that wait for room on disk.

    Attributes:
        limit: calls that are kept.
        n_dropped: values of the calls that were not.
        reason: why the disk took nothing.
        relieving: the entries are being written right now, so new records may pass.
    """

    __slots__ = ("_entries", "limit", "n_dropped", "reason", "relieving")

    def __init__(self, limit: int = RING_LIMIT) -> None:
        self._entries: deque[tuple[Entry, int]] | None = None  # most runs never need one
        self.limit = limit
        self.n_dropped = 0
        self.reason = ""
        self.relieving = False

    def __len__(self) -> int:
        return 0 if self._entries is None else len(self._entries)

    def append(self, entry: Entry, n_values: int) -> None:
        """Keep an entry; the oldest one goes if there are too many."""
        if self._entries is None:
            from collections import deque

            self._entries = deque()
        if len(self._entries) >= self.limit:
            self.n_dropped += self._entries.popleft()[1]
        self._entries.append((entry, n_values))

    def popleft(self) -> Entry:
        """Take the oldest entry.

        Raises:
            IndexError: there is none.
        """
        if self._entries is None:
            raise IndexError("the ring is empty")
        return self._entries.popleft()[0]

    def rotate(self, n: int) -> None:
        """Move the `n` newest entries to the front: they were taken and could not be written."""
        if self._entries is not None:
            self._entries.rotate(n)
