"""Downloads: against a local server that cuts, ignores ranges, exchanges the file, or refuses."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deepevent.errors import DownloadFailed
from deepevent_trainer.data.download import fetch
from deepevent_trainer.data.sources import DATA_SETS, RemoteFile

CONTENT = bytes(range(256)) * 4096  # 1 MiB


@dataclass
class Behaviour:
    """What the server does."""

    content: bytes = CONTENT
    cut_after: list[int] = field(default_factory=list)  # bytes sent before the connection is cut, per request
    ranges: bool = True
    etag: str = '"one"'
    status: int | None = None
    asked: list[str | None] = field(default_factory=list)


@contextmanager
def server(behaviour: Behaviour) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            behaviour.asked.append(wanted)
            if behaviour.status is not None:
                self.send_error(behaviour.status)
                return
            content, start = behaviour.content, 0
            same = self.headers.get("If-Range", behaviour.etag) == behaviour.etag
            if wanted and behaviour.ranges and same:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                if start >= len(content):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(content)}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            else:
                self.send_response(200)
            self.send_header("Content-Length", str(len(content) - start))
            self.send_header("ETag", behaviour.etag)
            self.end_headers()
            rest = content[start:]
            if behaviour.cut_after:
                rest = rest[: behaviour.cut_after.pop(0)]
                self.close_connection = True
            self.wfile.write(rest)

        def log_message(self, format: str, *args: object) -> None:
            return

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.server_port}/set.zip"
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()


def remote(url: str, content: bytes = CONTENT) -> RemoteFile:
    return RemoteFile("set.zip", url, hashlib.md5(content).hexdigest())


def test_a_cut_connection_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """Two cuts: the rest is asked for by range, and the whole is right; nothing of the work is left over."""
    behaviour = Behaviour(cut_after=[300_000, 200_000])
    seen: list[tuple[int, int | None]] = []
    with server(behaviour) as url:
        path = fetch(remote(url), tmp_path, lambda done, total: seen.append((done, total)), pause_s=0)
    assert path.read_bytes() == CONTENT
    assert behaviour.asked == [None, "bytes=300000-", "bytes=500000-"]
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert list(tmp_path.iterdir()) == [path]


def test_a_killed_download_goes_on_in_the_next_process(tmp_path: Path) -> None:
    """What lies in the part file is not fetched again; a part that is whole needs no byte."""
    (tmp_path / "set.zip.part").write_bytes(CONTENT[:700_000])
    behaviour = Behaviour()
    with server(behaviour) as url:
        assert fetch(remote(url), tmp_path).read_bytes() == CONTENT
        (tmp_path / "set.zip").rename(tmp_path / "set.zip.part")
        assert fetch(remote(url), tmp_path).read_bytes() == CONTENT
        assert fetch(remote(url), tmp_path).read_bytes() == CONTENT
    assert behaviour.asked == ["bytes=700000-", f"bytes={len(CONTENT)}-"]


def test_a_server_without_ranges_or_with_a_new_version_sends_all_again(tmp_path: Path) -> None:
    """The part is replaced, never mixed with another version."""
    (tmp_path / "set.zip.part").write_bytes(b"x" * 5000)
    with server(Behaviour(ranges=False)) as url:
        assert fetch(remote(url), tmp_path).read_bytes() == CONTENT
    (tmp_path / "set.zip").unlink()
    (tmp_path / "set.zip.part").write_bytes(b"x" * 5000)
    (tmp_path / "set.zip.part.version").write_text('"zero"')
    with server(Behaviour()) as url:
        assert fetch(remote(url), tmp_path).read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_thrown_away(tmp_path: Path) -> None:
    """A range behind the end means that the part is of something else."""
    (tmp_path / "set.zip.part").write_bytes(b"x" * (len(CONTENT) + 1))
    with server(Behaviour()) as url:
        assert fetch(remote(url), tmp_path, pause_s=0).read_bytes() == CONTENT


def test_a_wrong_checksum_never_gets_the_name(tmp_path: Path) -> None:
    """Another content is deleted and named with both sums."""
    with (
        server(Behaviour(content=b"a mirror's error page")) as url,
        pytest.raises(DownloadFailed, match="MD5"),
    ):
        fetch(remote(url), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_without_a_published_checksum_the_length_decides(tmp_path: Path) -> None:
    """A file without a sum is taken when it is whole."""
    with server(Behaviour(cut_after=[10])) as url:
        path = fetch(RemoteFile("set.zip", url, None), tmp_path, pause_s=0)
    assert path.read_bytes() == CONTENT


def test_refusals_and_silence_end_with_what_to_do(tmp_path: Path) -> None:
    """404 ends at once; a server that brings nothing ends after five tries, and the part is kept."""
    missing = Behaviour(status=404)
    with server(missing) as url, pytest.raises(DownloadFailed, match=r"404.*fetch the file yourself"):
        fetch(remote(url), tmp_path, pause_s=0)
    assert len(missing.asked) == 1
    (tmp_path / "set.zip.part").write_bytes(CONTENT[:100])
    busy = Behaviour(status=503)
    with server(busy) as url, pytest.raises(DownloadFailed, match="5 times without a byte"):
        fetch(remote(url), tmp_path, pause_s=0)
    assert len(busy.asked) == 5
    assert (tmp_path / "set.zip.part").read_bytes() == CONTENT[:100]


def test_the_table_of_sources_is_complete() -> None:
    """Every set has files with distinct names, addresses and well-formed sums."""
    for name, chosen in DATA_SETS.items():
        assert chosen.name == name
        assert len({remote_file.name for remote_file in chosen.files}) == len(chosen.files) > 0
        for remote_file in chosen.files:
            assert remote_file.url.startswith(("http://", "https://"))
            assert remote_file.md5 is None or int(remote_file.md5, 16) >= 0
            assert remote_file.md5 is None or len(remote_file.md5) == 32
