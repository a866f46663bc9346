"""Blobs by URL: what a folder promises, an object store that speaks S3 keeps too."""

from __future__ import annotations

import hashlib
import io
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deepevent.errors import BlobInvalid, SettingsError, StoreBusy
from deepevent.store import connection, sweeping
from deepevent.store.blobs import Blobs, open_blobs
from deepevent.store.objects import ObjectBlobs

CONTENT = b"picture" * 1_300_000  # more than one part of an upload
NAME = hashlib.sha256(CONTENT).hexdigest()
LATER = 3600.0
STALE = -60.0
"""Nothing counts as fresh, whatever the clocks say."""


@pytest.fixture(params=["file", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    """Empty blobs by URL."""
    if request.param == "file":
        return open_blobs(f"file://{tmp_path}/with%20space")
    return open_blobs(request.getfixturevalue("object_store")())


def test_a_blob_comes_back_whole_and_in_part(blobs: Blobs) -> None:
    """The first put stores, the second finds it there; it is listed, sized, and can be sought in."""
    assert not blobs.exists(NAME)
    assert blobs.put(io.BytesIO(CONTENT), NAME, 1 << 30) is True
    assert blobs.put(io.BytesIO(b"not read"), NAME, 1) is False
    assert blobs.exists(NAME)
    assert blobs.size(NAME) == len(CONTENT)
    with blobs.open(NAME) as file:
        file.seek(7_000_000)
        assert file.read(10) == CONTENT[7_000_000:7_000_010]
        file.seek(0)
        assert file.read() == CONTENT
    (found,) = blobs.list()
    assert (found.sha256, found.size_bytes) == (NAME, len(CONTENT))
    assert abs(time.time() - found.modified) < LATER


@pytest.mark.parametrize("limit", [len(CONTENT) - 1, 1 << 30])
def test_what_does_not_fit_is_never_seen(blobs: Blobs, limit: int) -> None:
    """Another hash, or one byte too many: nothing is there."""
    content = CONTENT if limit < len(CONTENT) else CONTENT[:-1]
    with pytest.raises(BlobInvalid):
        blobs.put(io.BytesIO(content), NAME, limit)
    assert not blobs.exists(NAME)
    assert list(blobs.list()) == []


def test_only_what_nobody_wants_is_removed(blobs: Blobs) -> None:
    """A blob that was announced since then stays; an old one goes; a missing one is no error."""
    blobs.put(io.BytesIO(CONTENT), NAME, 1 << 30)
    assert blobs.remove(NAME, modified_before=time.time() - LATER) is False
    assert blobs.exists(NAME)
    assert blobs.remove(NAME, modified_before=time.time() + LATER) is True
    assert blobs.remove(NAME, modified_before=time.time() + LATER) is False
    with pytest.raises(FileNotFoundError):
        blobs.open(NAME)
    with pytest.raises(FileNotFoundError):
        blobs.size(NAME)


def test_the_sweep_removes_what_no_run_has(blobs: Blobs, sqlite_db: connection.Database) -> None:
    """Young orphans stay, old ones go."""
    blobs.put(io.BytesIO(CONTENT), NAME, 1 << 30)
    assert sweeping.sweep(sqlite_db, blobs).blobs == 0
    assert sweeping.sweep(sqlite_db, blobs, now=time.time() + 2 * sweeping.GRACE_S).blobs == 1
    assert not blobs.exists(NAME)


def test_an_object_that_is_announced_late_is_sent_again(object_store: Callable[[], str]) -> None:
    """It cannot be touched, so it is sent anew: the sweep sees that it is wanted."""
    url = object_store()
    ObjectBlobs(url).put(io.BytesIO(CONTENT), NAME, 1 << 30)
    stale = ObjectBlobs(url, fresh_s=STALE)
    with pytest.raises(BlobInvalid):
        stale.put(io.BytesIO(b"read this time"), NAME, 1 << 30)
    assert stale.put(io.BytesIO(CONTENT), NAME, 1 << 30) is False


def test_whoever_sends_while_another_removes_keeps_the_blob(object_store: Callable[[], str]) -> None:
    """Many times over: after both are done the blob that was sent is there."""
    url = object_store()
    sender, remover = ObjectBlobs(url, fresh_s=STALE), ObjectBlobs(url)
    contents = {hashlib.sha256(bytes([n]) * 1000).hexdigest(): bytes([n]) * 1000 for n in range(8)}
    for name, content in contents.items():
        sender.put(io.BytesIO(content), name, 1 << 30)
    while (moment := time.time()) <= max(blob.modified for blob in sender.list()):
        time.sleep(0.05)
    for name, content in contents.items():
        removing = threading.Thread(target=remover.remove, args=(name, moment))
        removing.start()
        sender.put(io.BytesIO(content), name, 1 << 30)
        removing.join()
        assert sender.exists(name)


def test_an_object_store_that_is_away_is_busy_and_a_wrong_url_is_named(monkeypatch: Any) -> None:
    """A script waits and sends again; whoever starts the server reads what is wrong."""
    pytest.importorskip("obstore")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StoreBusy, match="s3://bucket/x cannot be reached"):
        ObjectBlobs("s3://bucket/x").exists(NAME)
    for url in ("s3://", "file://elsewhere/x", "nothing-like-it://x/y"):
        with pytest.raises(SettingsError, match="blobs"):
            open_blobs(url)
