"""E: texts that want to be paths, files that want to be run, and links that lead elsewhere."""

from __future__ import annotations

import hashlib
import os
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from deepevent.errors import DeepEventError

pytestmark = pytest.mark.usefixtures("unharmed")

CLIMBS = [
    "../../secret.txt",
    "..%2f..%2fsecret.txt",
    "%2e%2e/%2e%2e/secret.txt",
    "..%252f..%252fsecret.txt",
    "....//....//secret.txt",
    "..%5c..%5csecret.txt",
    "..\\..\\secret.txt",
    "%2fetc%2fpasswd",
    "/etc/passwd",
    "//etc/passwd",
    "C:%5cwindows%5cwin.ini",
    "%5c%5chost%5cshare",
    "file:///etc/passwd",
    ";/../../secret.txt",
    "%23../../secret.txt",
    "%3f../../secret.txt",
    "a%00.js",
    "CON",
    "NUL.txt",
    "x.",
    "x%20",
    "%ef%bc%8e%ef%bc%8e%ef%bc%8fsecret.txt",
    "..;/..;/secret.txt",
    "vendor/../../pages.py",
    "%c0%ae%c0%ae/secret.txt",
    ".%2e/%2e./secret.txt",
]
PLACES = ["/static/", "/api/v1/blobs/", "/api/v1/runs/", "/runs/", "/api/v1/jobs/", "/"]


@pytest.mark.parametrize("climb", CLIMBS)
def test_no_address_leads_to_a_file_outside(
    raw: Callable[..., tuple[int, bytes]], target: Any, climb: str
) -> None:
    """E1: every spelling of a way out, behind every prefix, byte for byte as the attacker sends it."""
    for place in PLACES:
        status, answer = raw(
            f"GET {place}{climb} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {target.token}\r\n"
            "Connection: close\r\n\r\n"
        )
        assert status in (200, 400, 404), (place, answer)
        assert b"sentinel" not in answer and b"root:" not in answer and b"import " not in answer
        if status == 200:  # the dashboard's shell, for whatever run a page is asked for
            assert b"text/html" in answer and place in ("/runs/", "/"), (place, answer)


@pytest.mark.parametrize(
    "name", ["../../secret.txt", "/etc/passwd", "a\0b", "A" * 64, "0" * 63 + "/", "0" * 65]
)
def test_a_blob_has_no_name_but_its_hash(operator: Any, name: str) -> None:
    """E1: neither reading nor writing takes anything but 64 digits in lower case."""
    quoted = requests.utils.quote(name, safe="")
    assert operator.call("GET", f"/blobs/{quoted}").status_code in (400, 404)
    assert operator.call("PUT", f"/blobs/{quoted}", data=b"x").status_code in (400, 404)


def test_an_artifact_s_path_is_only_shown(operator: Any, new_run: Callable[..., str]) -> None:
    """E1: the path and name of an artifact are text that no file is ever looked up by."""
    run, path = new_run(), "../../../../etc/passwd"
    digest = hashlib.sha256(b"harmless").hexdigest()
    operator.call("PUT", f"/blobs/{digest}", data=b"harmless")
    event = {"type": "artifact", "name": "x/../y", "path": path, "blob": digest, "size_bytes": 8}
    assert operator.events(event, run=run).status_code == 200
    (shown,) = operator.call("GET", f"/runs/{run}/artifacts").json()["artifacts"]
    assert (shown["path"], shown["name"]) == (path, "x/../y")
    assert operator.call("GET", f"/blobs/{shown['blob']}").content == b"harmless"


def test_links_in_the_store_are_not_followed(operator: Any, target: Any, beside: Path) -> None:
    """E2: a link where a file should be, even one put there between two requests, gives a 404."""
    content = os.urandom(64)
    digest = hashlib.sha256(content).hexdigest()
    operator.call("PUT", f"/blobs/{digest}", data=content)
    path = target.home / "blobs" / digest[:2] / digest
    assert operator.call("GET", f"/blobs/{digest}").content == content
    path.unlink()
    path.symlink_to(beside / "secret.txt")
    for query in ("", "?type=image/png"):
        answer = operator.call("GET", f"/blobs/{digest}{query}")
        assert answer.status_code == 404 and b"sentinel" not in answer.content
    path.unlink()


def test_an_upload_is_whole_or_not_there(operator: Any, wire: Callable[..., Any], target: Any) -> None:
    """E4: twice the same is one, a wrong hash is refused, and half an upload leaves no file."""
    content = os.urandom(300_000)
    digest = hashlib.sha256(content).hexdigest()
    assert operator.call("PUT", f"/blobs/{'0' * 64}", data=content).status_code == 422
    one = wire()
    one.send(
        f"PUT /api/v1/blobs/{digest} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {target.token}\r\n"
        f"Content-Length: {len(content)}\r\n\r\n".encode()
        + content[:150_000]
    )
    one.socket.shutdown(1)
    assert one.answer()[0] == 400
    assert operator.call("GET", f"/blobs/{digest}").status_code == 404
    assert not list((target.home / "blobs").glob(".new-*"))
    assert operator.call("PUT", f"/blobs/{digest}", data=content).status_code == 201
    assert operator.call("PUT", f"/blobs/{digest}", data=content).status_code == 200


@pytest.mark.parametrize("kind", ["text/html", "image/svg+xml", "text/javascript", "application/pdf", "x"])
def test_a_file_is_no_page(operator: Any, kind: str) -> None:
    """E6: no type makes the server serve what was uploaded as something that a browser runs."""
    content = b"<!doctype html><script>fetch('/api/v1/runs')</script>"
    digest = hashlib.sha256(content).hexdigest()
    operator.call("PUT", f"/blobs/{digest}", data=content, headers={"Content-Type": kind})
    assert operator.call("GET", f"/blobs/{digest}?type={requests.utils.quote(kind)}").status_code == 422
    answer = operator.call("GET", f"/blobs/{digest}", headers={"Accept": kind})
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert "sandbox" in answer.headers["Content-Security-Policy"]


class Trap:
    """What touches a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)


def test_no_checkpoint_is_ever_unpickled(operator: Any, tmp_path: Path) -> None:
    """E7: the server keeps a poisoned checkpoint as bytes; the trainer, asked to load it, refuses it."""
    from deepevent_trainer import checkpoint

    sprung = tmp_path / "sprung"
    content = pickle.dumps(Trap(str(sprung)), protocol=2)
    digest = hashlib.sha256(content).hexdigest()
    operator.call("PUT", f"/blobs/{digest}", data=content)
    event = {"type": "artifact", "name": "model.pt", "kind": "checkpoint", "blob": digest, "size_bytes": 9}
    assert operator.events(event).status_code == 200
    assert operator.call("GET", f"/blobs/{digest}").content == content
    file = tmp_path / "model.pt"
    file.write_bytes(content)
    with pytest.raises((DeepEventError, pickle.UnpicklingError)):
        checkpoint.load(file)
    assert not sprung.exists()


def test_a_run_deleted_under_an_upload_stays_deleted(operator: Any, new_run: Callable[..., str]) -> None:
    """E8: what arrives for a run while it is deleted is a 404, and never brings it back."""
    run, stop = new_run(), threading.Event()
    answers: list[int] = []

    def log() -> None:
        while not stop.is_set():
            answers.append(operator.events({"metrics": {"a": 1.0}}, run=run).status_code)

    writers = [threading.Thread(target=log) for _ in range(3)]
    for writer in writers:
        writer.start()
    while 200 not in answers:
        stop.wait(0.01)
    assert operator.call("DELETE", f"/runs/{run}").status_code == 204
    n = len(answers)
    while len(answers) < n + 6:
        stop.wait(0.01)
    stop.set()
    for writer in writers:
        writer.join()
    assert set(answers) == {200, 404}
    assert answers[-1] == 404
    assert operator.call("GET", f"/runs/{run}").status_code == 404
