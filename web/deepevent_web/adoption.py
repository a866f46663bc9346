"""Takes in spools that nobody writes to any more: of scripts that ran without a server, or were killed."""

from __future__ import annotations

from pathlib import Path

from deepevent.store.blobs import BlobStore
from deepevent.store.ingest import Committer


class Adoption:
    """Looks through the spool of the local home."""

    def __init__(self, home: Path, committer: Committer, blobs: BlobStore) -> None:
        self._spool = home / "spool"
        self._committer = committer
        self._blobs = blobs

    def look(self) -> int:
        """Take in what is abandoned."""
        return 0
