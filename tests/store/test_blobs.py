"""A blob that has its name is complete and right, and no name leads out of the folder."""

from __future__ import annotations

import hashlib
import io
import stat

import pytest

from deepevent.errors import BlobInvalid
from deepevent.store.blobs import BlobStore

CONTENT = b"picture" * 400_000
NAME = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def store(tmp_path):
    return BlobStore(tmp_path / "blobs")


def files(store):
    return [path for path in store.path("0" * 64).parent.parent.rglob("*") if path.is_file()]


def test_a_blob_comes_back_and_is_stored_once(store):
    """The first put stores, a second one finds it there; only its owner may read the file."""
    assert store.put(io.BytesIO(CONTENT), NAME, 1 << 30) is True
    assert store.put(io.BytesIO(b"not read"), NAME, 1) is False
    with store.open(NAME) as file:
        assert file.read() == CONTENT
    assert store.exists(NAME)
    assert stat.S_IMODE(store.path(NAME).stat().st_mode) == 0o600
    assert files(store) == [store.path(NAME)]


@pytest.mark.parametrize("limit", [len(CONTENT) - 1, 1 << 30])
def test_what_does_not_fit_leaves_nothing(store, limit):
    """A blob with another hash, or one byte too long, is refused and no file stays behind."""
    content = CONTENT if limit < len(CONTENT) else CONTENT[:-1]
    with pytest.raises(BlobInvalid):
        store.put(io.BytesIO(content), NAME, limit)
    assert not store.exists(NAME)
    assert files(store) == []


def test_a_stream_that_breaks_leaves_nothing(store):
    """An upload that ends in an error leaves no file."""

    class Broken(io.RawIOBase):
        def read(self, size=-1):
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        store.put(Broken(), NAME, 1 << 30)
    assert files(store) == []


@pytest.mark.parametrize(
    "name",
    ["", "..", "../" + "a" * 61, "A" * 64, "a" * 63, "a" * 65, "a" * 64 + "\n", "/" * 64, "a" * 63 + "\0"],
)
def test_only_a_hash_is_a_name(store, name):
    """Anything but 64 hexadecimal digits in lower case is refused before it becomes a path."""
    for call in (store.path, store.exists, store.open, lambda text: store.put(io.BytesIO(b""), text, 1)):
        with pytest.raises(BlobInvalid):
            call(name)


def test_a_link_in_place_of_a_blob_is_not_followed(store, tmp_path):
    """A symbolic link that lies where a blob should is not opened."""
    secret = tmp_path / "secret"
    secret.write_text("x")
    path = store.path(NAME)
    path.parent.mkdir()
    path.symlink_to(secret)
    with pytest.raises(OSError, match="symbolic"):
        store.open(NAME)
