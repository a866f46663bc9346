"""Fixtures that all tests share: a home of one's own, the real server, PostgreSQL, Chromium."""

from __future__ import annotations

import functools
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema_rs
import psycopg
import pytest
import requests
from playwright.sync_api import Browser, sync_playwright

from deepevent.store import connection, migrate

COMMAND = [str(Path(sys.executable).with_name("deepevent"))]
STOP_TIMEOUT_S = 15


@functools.cache
def _described() -> dict[tuple[str, str], Any]:
    """What the description says of each JSON answer: validators by method and path, then by status."""
    from deepevent_web import openapi, routes
    from deepevent_web.app import NOUNS

    document = openapi.document(routes.table(NOUNS).values())
    found: dict[tuple[str, str], Any] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            known = found[method.upper(), re.sub(r"{\w+}", "[^/]+", path)] = {}
            for status, said in operation["responses"].items():
                shape = said.get("content", {}).get("application/json", {}).get("schema")
                if shape is not None:
                    whole = shape | {"components": document["components"]}
                    known[int(status)] = jsonschema_rs.validator_for(whole)
    return found


def check_described(method: str, path: str, answer: requests.Response) -> None:
    """Fail when a JSON answer is not what the API's own description says, whichever test has asked."""
    if not answer.headers.get("Content-Type", "").startswith("application/json") or not answer.content:
        return
    plain = urlsplit(path).path
    for (known, pattern), answers in _described().items():
        if known == method and re.fullmatch(pattern, plain):
            assert answer.status_code in answers, f"{method} {plain}: {answer.status_code} is not described"
            wrong = next(answers[answer.status_code].iter_errors(answer.json()), None)
            assert wrong is None, f"{method} {plain}: {list(wrong.instance_path)}: {wrong.message}"


@dataclass
class Server:
    """A running `deepevent serve`."""

    home: Path
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    port: int = 0
    process: subprocess.Popen[str] | None = None
    url: str = ""
    link: str = ""
    token: str = ""
    printed_used: bool = False

    @property
    def code(self) -> str:
        """The one-time sign-in code of this start."""
        return self.link.partition("#")[2]

    @property
    def log(self) -> Path:
        """What the server wrote on stderr."""
        return self.home.with_name(f"{self.home.name}-server.log")

    def start(self) -> Server:
        """Start it, and wait until it says that it runs; again on the same port after a stop or kill."""
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "serve", "--port", str(self.port), *self.arguments],
                env={**os.environ, "DEEPEVENT_HOME": str(self.home), **self.environment},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        said = []
        for line in self.process.stdout:
            said.append(line)
            if line.startswith("Stop it with"):
                break
        self.printed_used = False
        text = "".join(said)
        found = re.search(r"Open\s+(\S+)", text)
        assert found, f"the server did not start: {text}\n{self.log.read_text()}"
        self.link = found[1]
        known = json.loads((self.home / "server.json").read_text())
        self.url, self.token = known["url"], known["token"]
        self.port = urlsplit(self.url).port or 0
        return self

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it, and return its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(STOP_TIMEOUT_S)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            if self.process.stdout is not None:
                self.process.stdout.close()

    def kill(self) -> None:
        """kill -9."""
        self.stop(signal.SIGKILL)

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """A request with the operator's token."""
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        answer = requests.request(method, self.url + path, headers=headers, timeout=30, **options)
        check_described(method, path, answer)
        return answer

    def make_token(self, role: str, name: str = "", expires_s: float | None = None) -> str:
        """A token of a role, made in the store as `deepevent token create` does."""
        from deepevent.store import access, connection

        db = connection.open_database(f"sqlite:///{self.home / 'deepevent.db'}")
        try:
            return access.create_token(db, name or f"a {role}", role, expires_s=expires_s)
        finally:
            db.close()

    def sign_in(self, code: str | None = None) -> requests.Session:
        """A browser's session: the cookie, and on every request the headers that its page would send."""
        session = requests.Session()
        if code is None:  # the printed code works once
            code = (
                self.call("POST", "/api/v1/session/codes").json()["code"] if self.printed_used else self.code
            )
            self.printed_used = True
        answer = session.post(f"{self.url}/api/v1/session", json={"code": code}, timeout=30)
        assert answer.status_code == 204, answer.text
        page = session.get(f"{self.url}/", timeout=30)
        found = re.search(r'name="csrf-token" content="([0-9a-f]+)"', page.text)
        assert found, page.text
        session.headers.update({"X-CSRF-Token": found[1], "Origin": self.url})
        return session


@pytest.fixture(scope="session")
def described() -> Callable[[str, str, requests.Response], None]:
    """The check of an answer against the API's description, for tests that call by themselves."""
    return check_described


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh home, also for what runs in this process."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    for name in (
        "DEEPEVENT_URL",
        "DEEPEVENT_TOKEN",
        "DEEPEVENT_RUN",
        "DEEPEVENT_MODE",
        "DEEPEVENT_PROJECT",
        "RANK",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DEEPEVENT_HOME", str(folder))
    return folder


@pytest.fixture
def start_server(home: Path) -> Iterator[Callable[..., Server]]:
    """Start servers with arguments; all are stopped at the end."""
    started: list[Server] = []

    def start(*arguments: str, home: Path = home, **environment: str) -> Server:
        server = Server(home, arguments, environment)
        started.append(server)
        return server.start()

    yield start
    for server in started:
        if server.process is not None:
            server.stop()


@pytest.fixture
def server(start_server: Callable[..., Server]) -> Server:
    """A running server with default settings on a fresh home."""
    return start_server()


@pytest.fixture(scope="session")
def server_class() -> type[Server]:
    """For folders whose tests need a server that lives longer than one file."""
    return Server


@pytest.fixture(scope="module")
def serve_home() -> Iterator[Callable[[Path], Server]]:
    """Start servers on homes that are there already, for all tests of a file."""
    started: list[Server] = []

    def serve(home: Path) -> Server:
        started.append(Server(home))
        return started[-1].start()

    yield serve
    for server in started:
        server.stop()


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server for all tests of a file that leave nothing behind that another would trip over."""
    folder = tmp_path_factory.mktemp("shared") / "home"
    folder.mkdir(mode=0o700)
    server = Server(folder).start()
    yield server
    server.stop()


def pg_binary(name: str) -> str | None:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else shutil.which(name)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Callable[[], str]]:
    """Start a PostgreSQL server; call the result for the address of a fresh, migrated database."""
    initdb, server = pg_binary("initdb"), pg_binary("postgres")
    if initdb is None or server is None:
        pytest.skip("PostgreSQL is not installed")
    with tempfile.TemporaryDirectory(prefix="deepevent-pg-") as folder:
        become: dict[str, Any] = {}
        if os.getuid() == 0:  # PostgreSQL refuses to run as root
            try:
                user = pwd.getpwnam("postgres")
            except KeyError:
                user = pwd.getpwnam("nobody")
            os.chown(folder, user.pw_uid, user.pw_gid)
            become = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        data = f"{folder}/data"
        subprocess.run(
            [initdb, "-D", data, "-A", "trust", "-U", "test", "-N", "-E", "UTF8", "--locale=C"],
            check=True,
            capture_output=True,
            cwd=folder,
            **become,
        )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        options = ["-p", str(port), "-k", folder, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        process = subprocess.Popen(
            [server, "-D", data, *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            **become,
        )
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if "ready to accept connections" in line:
                    break
            else:
                pytest.fail("PostgreSQL did not start")
            yield _databases(port)
        finally:
            process.send_signal(signal.SIGINT)  # ends without waiting for clients
            process.communicate(timeout=30)


def _databases(port: int) -> Callable[[], str]:
    base = f"postgresql://test@127.0.0.1:{port}"
    with psycopg.connect(f"{base}/postgres", autocommit=True) as admin:
        admin.execute("CREATE DATABASE template_deepevent")
    db = connection.open_database(f"{base}/template_deepevent")
    migrate.upgrade(db)
    db.close()
    numbers = iter(range(10**6))

    def fresh() -> str:
        name = f"test_{next(numbers)}"
        with psycopg.connect(f"{base}/postgres", autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {name} TEMPLATE template_deepevent")
        return f"{base}/{name}"

    return fresh


def chromium_path() -> str | None:
    """Chromium from Debian, else None: Playwright's own."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for all tests: a process can hold one session of Playwright only."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        yield browser
        browser.close()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what the fault tests noted: kills survived / points lost / points doubled."""
    noted = [
        values
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, values in getattr(report, "user_properties", ())
        if name == "faults" and report.when == "call"
    ]
    if noted:
        kills, lost, doubled, points = (sum(column) for column in zip(*noted, strict=True))
        terminalreporter.write_line(
            f"faults: kills survived / points lost / points doubled: {kills} / {lost} / {doubled}"
            f" ({points:,} points logged)"
        )
