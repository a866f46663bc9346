"""Unpacking: honest archives whole, others not at all."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from deepevent.errors import ArchiveUnsafe, DataSetError
from deepevent_trainer.data.archives import unpack


def make_tar(path: Path, entries: dict[str, bytes], **kinds: bytes) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in entries.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        for name, kind in kinds.items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "/etc/passwd"
            archive.addfile(entry)
    return path


def make_zip(path: Path, entries: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("empty")
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return path


@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_an_archive_is_unpacked_whole(tmp_path: Path, make: object) -> None:
    """All files come out with their content; those that are there are replaced."""
    assert callable(make)
    archive = make(tmp_path / "archive", {"a/b/one.txt": b"one", "two.txt": b"two" * 1000})
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "two.txt").write_text("old")
    assert unpack(archive, folder, max_bytes=10_000) == 2
    assert (folder / "a/b/one.txt").read_bytes() == b"one"
    assert (folder / "two.txt").read_bytes() == b"two" * 1000


@pytest.mark.parametrize("make", [make_tar, make_zip])
@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/tmp/evil", "..\\evil", "C:/evil"])
def test_no_entry_leads_outside(tmp_path: Path, make: object, name: str) -> None:
    """A single bad name refuses the whole archive before anything is written."""
    assert callable(make)
    archive = make(tmp_path / "archive", {"good.txt": b"good", name: b"evil"})
    with pytest.raises(ArchiveUnsafe, match="leads out"):
        unpack(archive, tmp_path / "out", max_bytes=10_000)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    """Links could lead a later entry anywhere."""
    archive = make_tar(tmp_path / "archive", {"good.txt": b"good"}, link=kind)
    with pytest.raises(ArchiveUnsafe, match="link or a device"):
        unpack(archive, tmp_path / "out", max_bytes=10_000)
    assert list((tmp_path / "out").iterdir()) == []


def test_links_in_a_zip_are_refused(tmp_path: Path) -> None:
    """A zip entry can be a link by its mode."""
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        entry = zipfile.ZipInfo("link")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        opened.writestr(entry, "/etc/passwd")
    with pytest.raises(ArchiveUnsafe, match="link or a device"):
        unpack(archive, tmp_path / "out", max_bytes=10_000)


@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_sizes_and_counts_are_bounded(tmp_path: Path, make: object) -> None:
    """A bomb, and a swarm of entries, are refused."""
    assert callable(make)
    archive = make(tmp_path / "archive", {"bomb": bytes(1_000_000)})
    with pytest.raises(ArchiveUnsafe, match="at most 10,000"):
        unpack(archive, tmp_path / "out", max_bytes=10_000)
    swarm = make(tmp_path / "swarm", {str(number): b"" for number in range(20)})
    with pytest.raises(ArchiveUnsafe, match="more than the 10 entries"):
        unpack(swarm, tmp_path / "out", max_bytes=10_000, max_entries=10)


def test_a_link_in_the_way_is_not_written_through(tmp_path: Path) -> None:
    """A link that stands where a file should go is left alone."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "one.txt").symlink_to(victim)
    archive = make_tar(tmp_path / "archive", {"one.txt": b"one"})
    with pytest.raises(ArchiveUnsafe, match="remove the link"):
        unpack(archive, tmp_path / "out", max_bytes=10_000)
    assert victim.read_text() == "mine"


@pytest.mark.parametrize("content", [b"not an archive at all", b"PK\x03\x04 broken"])
def test_what_is_no_archive_says_so(tmp_path: Path, content: bytes) -> None:
    """A broken file is an error of its own name."""
    path = tmp_path / "archive"
    path.write_bytes(content)
    with pytest.raises(DataSetError, match="cannot unpack"):
        unpack(path, tmp_path / "out", max_bytes=10_000)
