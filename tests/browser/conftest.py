"""A real Chromium on the real server: signed-in pages, scripts that log, a screenshot on failure."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

OUTPUT = Path(os.environ.get("DEEPEVENT_TEST_OUTPUT", "test-output"))
PATIENCE_MS = 30_000
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def fill_library() -> Callable[[Path, int], list[str]]:
    """Write a home with so many finished runs; see `fill` in benchmarks/library.py."""
    path = Path(__file__).parents[2] / "benchmarks" / "library.py"
    spec = importlib.util.spec_from_file_location("deepevent_library", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    fill: Callable[[Path, int], list[str]] = module.fill
    return fill


@pytest.fixture(scope="module")
def fresh_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty home for all tests of a file."""
    home = tmp_path_factory.mktemp("module") / "home"
    home.mkdir(mode=0o700)
    return home


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Remember on the test whether it failed, for the screenshot."""
    report = yield
    if report.when == "call":  # type: ignore[attr-defined]
        item.stash[FAILED] = report.failed  # type: ignore[attr-defined]
    return report  # type: ignore[return-value]


FAILED = pytest.StashKey[bool]()


Cookies = list[dict[str, str]]


def _cookies(server: Any) -> Cookies:
    """The cookies of a session on the server; its one-time code is spent with that."""
    return [{"name": c.name, "value": c.value, "url": server.url} for c in server.sign_in().cookies]


def _pages(
    browser: Browser, url: str, cookies: Cookies, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Page]]:
    pages: list[Page] = []
    complaints: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        # A request that fails on purpose (a mistaken filter, a server that was killed) is no complaint.
        if (
            message.type == "error"
            and "Failed to load resource" not in message.text
            and "WebSocket" not in message.text
        ):
            complaints.append(message.text)

    def open_one(path: str = "/", signed_in: bool = True, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        context.set_default_timeout(PATIENCE_MS)
        if signed_in:
            context.add_cookies(cookies)  # type: ignore[arg-type]
        page = context.new_page()
        page.on("console", listen)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url + path)
        pages.append(page)
        return page

    yield open_one
    if request.node.stash.get(FAILED, False):
        OUTPUT.mkdir(parents=True, exist_ok=True)
        for i, page in enumerate(pages):
            page.screenshot(path=OUTPUT / f"{request.node.name}-{i}.png")
    for page in pages:
        page.context.close()
    assert complaints == []


@pytest.fixture
def open_page(browser: Browser, server: Any, request: pytest.FixtureRequest) -> Iterator[Callable[..., Page]]:
    """Open signed-in pages; errors in a page's console or scripts fail the test."""
    yield from _pages(browser, server.url, _cookies(server), request)


@pytest.fixture(scope="module")
def shared_cookies(shared_server: Any) -> Cookies:
    """A session on the server that the tests of a file share."""
    return _cookies(shared_server)


@pytest.fixture
def open_shared(
    browser: Browser, shared_server: Any, shared_cookies: Cookies, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Page]]:
    """The same on the server that all tests of a file share."""
    yield from _pages(browser, shared_server.url, shared_cookies, request)


@pytest.fixture(scope="module")
def shared_home(shared_server: Any) -> Iterator[None]:
    """Runs that this process starts go to the shared server."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DEEPEVENT_URL", "DEEPEVENT_TOKEN", "DEEPEVENT_RUN", "DEEPEVENT_MODE", "RANK"):
            patch.delenv(name, raising=False)
        patch.setenv("DEEPEVENT_HOME", str(shared_server.home))
        yield


@pytest.fixture
def barriers() -> Callable[[Page], list[str]]:
    """What axe-core finds on a page that shuts somebody out: its serious and critical violations."""
    from axe_playwright_python.sync_playwright import Axe

    def look(page: Page) -> list[str]:
        found = Axe().run(page).response["violations"]
        return [
            f"{page.url}: {one['id']} at {[node['target'] for node in one['nodes'][:3]]}"
            for one in found
            if one["impact"] in ("serious", "critical")
        ]

    return look


class Script:
    """A training script in a process of its own, which logs what it is told line by line."""

    SOURCE = """
import json, sys
import deepevent
start = json.loads(sys.stdin.readline())
run = deepevent.start(**start)
print(run.id, flush=True)
for line in sys.stdin:
    command = json.loads(line)
    if command.pop("flush", False):
        run.flush(30)
    else:
        run.log(command["metrics"], step=command["step"])
    print("done", flush=True)
run.finish()
"""

    def __init__(self, **start: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", self.SOURCE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.run = self._say(start)

    def _say(self, message: dict[str, Any]) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def log(self, step: int, **metrics: float) -> None:
        """Log values; `__` in a name stands for `/`."""
        named = {name.replace("__", "/"): value for name, value in metrics.items()}
        assert self._say({"metrics": named, "step": step}) == "done"

    def flush(self) -> None:
        """Wait until the server has acknowledged."""
        assert self._say({"flush": True}) == "done"

    def end(self) -> None:
        """Finish the run and the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def script(server: Any) -> Iterator[Callable[..., Script]]:
    """Start scripts against the server; all end with the test."""
    started: list[Script] = []

    def start(**options: Any) -> Script:
        one = Script(**options)
        started.append(one)
        return one

    yield start
    for one in started:
        if one.process.poll() is None:
            one.end()


POINTS_JS = """
({chart, metric, run}) => {
  const found = window.deepevent.charts().find((one) => one.key === chart);
  const lines = (found?.traces ?? []).filter((t) => t.role !== "nonfinite" && t.role !== "raw");
  const trace = lines.find((t) => t.metric === metric && (!run || t.run === run));
  return trace ? trace.x.map((x, i) => [x, trace.y[i]]) : null;
}
"""


@pytest.fixture
def points() -> Callable[..., list[list[float]] | None]:
    """What Plotly holds of a metric on a chart, as [x, y] pairs."""

    def read(page: Page, chart: str, metric: str, run: str | None = None) -> list[list[float]] | None:
        found: list[list[float]] | None = page.evaluate(
            POINTS_JS, {"chart": chart, "metric": metric, "run": run}
        )
        return found

    return read


@pytest.fixture
def wait_for_points() -> Callable[..., None]:
    """Wait, without any reload, until a chart holds exactly these points."""

    def wait(
        page: Page, chart: str, metric: str, expected: list[list[float]], run: str | None = None
    ) -> None:
        page.wait_for_function(
            f"(a) => JSON.stringify(({POINTS_JS})(a)) === JSON.stringify(a.expected)",
            arg={"chart": chart, "metric": metric, "run": run, "expected": expected},
            timeout=PATIENCE_MS,
        )

    return wait
