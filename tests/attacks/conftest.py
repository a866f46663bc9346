"""One real server that all attacks share, and what must be true of it after each file of them."""

from __future__ import annotations

import hashlib
import importlib.util
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest
import requests

MOST_GROWTH_BYTES = 300 * 1024 * 1024
PATIENCE_S = 30


def rss_bytes(server: Any) -> int:
    """What all processes of a server hold in memory."""
    process = psutil.Process(server.process.pid)
    return sum(part.memory_info().rss for part in [process, *process.children(recursive=True)])


def fingerprint(folder: Path) -> dict[str, str]:
    """Every file and link below a folder, with what is in it."""
    found = {}
    for path in sorted(folder.rglob("*")):
        content = str(path.readlink()).encode() if path.is_symlink() else b""
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
        found[str(path.relative_to(folder))] = hashlib.sha256(content).hexdigest()
    return found


@pytest.fixture(scope="session")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder beside the server's home, with files that nobody may read or change through the server."""
    folder = tmp_path_factory.mktemp("attacked")
    (folder / "secrets" / "below").mkdir(parents=True)
    (folder / "secret.txt").write_text("the sentinel")
    (folder / "secrets" / "below" / "key.pem").write_text("the sentinel's key")
    (folder / "home").mkdir(mode=0o700)
    return folder


@pytest.fixture(scope="session")
def target(beside: Path, server_class: Any) -> Iterator[Any]:
    """The server that is attacked."""
    server = server_class(beside / "home").start()
    server.sentinels = {name: fingerprint(beside / name) for name in ("secrets",)}
    server.rss_before = rss_bytes(server)
    server.n_processes = len(psutil.Process(server.process.pid).children(recursive=True))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def unharmed(target: Any, beside: Path) -> Iterator[None]:
    """The oracle of all attacks: each file of them asks for it, and it looks when they are over."""
    yield
    assert target.process.poll() is None, "the server ended"
    run = target.call("POST", "/api/v1/runs", json={"name": "afterwards"})
    assert run.status_code == 201, "a valid request no longer works"
    page = requests.get(f"{target.url}/signin", timeout=PATIENCE_S)
    assert page.status_code == 200
    log = target.log.read_text()
    assert "Traceback" not in log, log
    assert target.token not in log
    assert fingerprint(beside / "secrets") == target.sentinels["secrets"]
    assert (beside / "secret.txt").read_text() == "the sentinel"
    assert sorted(path.name for path in beside.iterdir()) == [
        "home",
        "home-server.log",
        "secret.txt",
        "secrets",
    ]
    assert len(psutil.Process(target.process.pid).children(recursive=True)) == target.n_processes
    assert rss_bytes(target) - target.rss_before < MOST_GROWTH_BYTES


@pytest.fixture(scope="session")
def memory() -> Callable[[Any], int]:
    """What all processes of a server hold in memory, in bytes."""
    return rss_bytes


class Wire:
    """A socket to the server, for requests that no HTTP library would send."""

    def __init__(self, server: Any, timeout_s: float = PATIENCE_S) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=timeout_s)

    def send(self, data: bytes) -> None:
        """Send; a server that has hung up already is part of the attack."""
        try:
            self.socket.sendall(data)
        except OSError:
            return

    def answer(self) -> tuple[int, bytes]:
        """The first answer's status, and all that came until the server hung up or fell silent."""
        data = b""
        try:
            while piece := self.socket.recv(65536):
                data += piece
                head, end, body = data.partition(b"\r\n\r\n")
                length = [h for h in head.lower().split(b"\r\n") if h.startswith(b"content-length:")]
                if end and length and len(body) >= int(length[0].split(b":")[1]):
                    break
        except OSError:
            pass
        return (int(data.split()[1]) if data else 0), data

    def close(self) -> None:
        """Hang up."""
        self.socket.close()


@pytest.fixture
def wire(target: Any) -> Iterator[Callable[..., Wire]]:
    """Open sockets to the server."""
    opened: list[Wire] = []

    def dial(server: Any = target, **options: Any) -> Wire:
        one = Wire(server, **options)
        opened.append(one)
        return one

    yield dial
    for one in opened:
        one.close()


@pytest.fixture
def raw(wire: Callable[..., Wire], target: Any) -> Callable[..., tuple[int, bytes]]:
    """Send bytes as one request, and return the status and all that was answered."""

    def send(data: bytes | str, server: Any = target) -> tuple[int, bytes]:
        one = wire(server)
        one.send(data.encode("latin-1") if isinstance(data, str) else data)
        return one.answer()

    return send


class Client:
    """Somebody with a token, who calls the API."""

    def __init__(self, server: Any, role: str, described: Callable[..., None]) -> None:
        self.server = server
        self.described = described
        self.token = server.token if role == "operator" else server.make_token(role)
        self.headers = {"Authorization": f"Bearer {self.token}"}

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """A request below /api/v1; whatever is sent, the answer is never 5xx and never a traceback."""
        headers = {**self.headers, **options.pop("headers", {})}
        answer = requests.request(
            method, f"{self.server.url}/api/v1{path}", headers=headers, timeout=PATIENCE_S, **options
        )
        assert answer.status_code < 500 or answer.status_code == 503, answer.text
        assert "Traceback" not in answer.text
        self.described(method, f"/api/v1{path}", answer)
        return answer

    def events(self, *events: dict[str, Any], key: str | None = None, **fields: Any) -> requests.Response:
        """Log events as JSON."""
        headers = {} if key is None else {"Idempotency-Key": key}
        return self.call("POST", "/events", json={"events": list(events), **fields}, headers=headers)


@pytest.fixture(scope="session")
def as_role(target: Any, described: Callable[..., None]) -> Callable[[str], Client]:
    """Whoever has a token of a role."""
    known: dict[str, Client] = {}

    def find(role: str) -> Client:
        return known.setdefault(role, known.get(role) or Client(target, role, described))

    return find


@pytest.fixture
def operator(as_role: Callable[[str], Client]) -> Client:
    """Somebody who may do all."""
    return as_role("operator")


@pytest.fixture
def new_run(operator: Client) -> Callable[..., str]:
    """Make a run and return its id."""

    def make(**fields: Any) -> str:
        answer = operator.call("POST", "/runs", json=fields)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    return make


@pytest.fixture(scope="session")
def load_proxy() -> ModuleType:
    """The module `proxy.py` of this folder, which is no package."""
    spec = importlib.util.spec_from_file_location("deepevent_proxy", Path(__file__).with_name("proxy.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
