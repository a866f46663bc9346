"""Servers that share an object store: what was uploaded through one is fetched from the other."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

CONTENT = bytes(range(256)) * 1000
NAME = hashlib.sha256(CONTENT).hexdigest()


def test_a_file_uploaded_here_is_fetched_there(
    postgresql: Callable[[], str], object_store: Callable[[], str], start_server: Any, tmp_path: Path
) -> None:
    """Whole, in part, and not at all when the browser has it; nothing lies in either home."""
    shared = ("--store", postgresql(), "--blobs", object_store())
    first = start_server(*shared, home=tmp_path / "first")
    second = start_server(*shared, home=tmp_path / "second")

    def fetch(**headers: str) -> requests.Response:
        return second.call("GET", f"/api/v1/blobs/{NAME}", headers=headers)

    assert fetch().status_code == 404
    for status in (201, 200):
        assert first.call("PUT", f"/api/v1/blobs/{NAME}", data=CONTENT).status_code == status
    whole = fetch()
    assert whole.status_code == 200 and whole.content == CONTENT
    assert whole.headers["Content-Length"] == str(len(CONTENT))
    assert whole.headers["Content-Disposition"] == f"attachment; filename={NAME}"
    part = fetch(Range="bytes=1000-1009")
    assert part.status_code == 206 and part.content == CONTENT[1000:1010]
    assert fetch(Range=f"bytes={len(CONTENT)}-").status_code == 416
    assert fetch(**{"If-None-Match": whole.headers["ETag"]}).status_code == 304
    assert not list(tmp_path.glob(f"*/blobs/*/{NAME}"))
