"""Takes in spools that nobody writes to any more: of scripts that ran without a server, or were killed."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import BinaryIO

from deepevent.errors import BatchInvalid, BlobInvalid
from deepevent.spool import Report, adopt
from deepevent.store.blobs import Blobs
from deepevent.store.ingest import Committer
from deepevent.wire import Batch

_log = logging.getLogger(__name__)


class Adoption:
    """Looks through the spool of the local home, and commits what lies there like any batch."""

    def __init__(self, home: Path, committer: Committer, blobs: Blobs) -> None:
        self._home = home
        self._committer = committer
        self._blobs = blobs
        self._waiting: set[str] = set()

    def look(self) -> Report:
        """Take in what is abandoned; whatever stops this, the next look goes on."""
        report = adopt(self._home, self._send, self._put)
        for sentence in report.damage + report.refused:
            _log.warning("spool: %s", sentence)
        for sentence in set(report.waiting) - self._waiting:  # said once, while it is so
            _log.warning("spool: %s", sentence)
        self._waiting = set(report.waiting)
        return report

    def _send(self, batch: Batch) -> int:
        return self._committer.submit(batch).last_sequence

    def _put(self, sha256: str, file: BinaryIO, size_bytes: int) -> None:
        try:
            self._blobs.put(file, sha256, size_bytes)
        except BlobInvalid as error:
            raise BatchInvalid(str(error)) from error
