"""The page of one run: what it ran on, what it logged beside numbers, what it printed, and its notes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

FILE = b"weights" * 1000
NOTES = """# Why
A **second** try, see [the paper](https://example.org/paper) and [not this](javascript:window.hacked=1).

- [x] done
- plain

| net | recall |
|---|---|
| det12 | 0.98 |

<img src=x onerror="window.hacked=1">
"""
# Everything that a run can hold beside numbers; then it prints what it is told, line by line.
SCRIPT = """
import sys
from pathlib import Path
import numpy as np
import plotly.graph_objects as go
import deepevent
notes, file = Path(sys.argv[1]).read_text(), sys.argv[2]
run = deepevent.start(
    name="rich", notes=notes, capture_output=True,
    config={"lr": 0.1, "net": {"kind": "det12", "layers": [1, 2]}, **{f"key{i}": i for i in range(8)}},
)
for step in range(5):
    noise = np.random.default_rng(step)
    run.log({"val/loss": 1 / (step + 1), "system/cpu_percent": 10.0 * step}, step=step)
    run.log_image("sample", np.full((8, 8), step * 50, np.uint8), step=step, caption=f"after {step}")
    run.log_histogram("weights", noise.normal(step, 1, 500), step=step)
    run.log_text("story", f"chapter {step}", step=step)
run.log_image("tower", np.zeros((2000, 50), np.uint8), step=4)
run.log_table("confusion", [{"class": name, "n": n} for name, n in (("b", 2), ("a", 10), ("c", 1))], step=4)
figure = go.Figure(go.Scatter(x=[1, 2], y=[3, 4], name="<img src=x onerror='parent.hacked=1'>"))
run.log_figure("roc", figure, step=4)
run.log_artifact(file, name="model", kind="checkpoint")
run.alert("plateau", "no progress for 5 epochs", level="warning")
for line in range(2000):
    print(f"line {line}" if line != 1234 else "the needle", flush=line == 1999)
run.flush(60)
sys.__stderr__.write(run.id + "\\n")
sys.__stderr__.flush()
for line in sys.stdin:
    print(line, end="", flush=True)
"""


def changed(page: Page) -> Any:
    """Wait for the server's answer to a change: the page shows it at once."""
    return page.expect_response(lambda answer: answer.request.method == "PATCH")


@pytest.fixture(scope="module")
def server(fresh_home: Path, serve_home: Callable[[Path], Any]) -> Any:
    """One server for all tests of this file, which only read or put back what they change."""
    return serve_home(fresh_home)


@pytest.fixture(scope="module")
def script(
    server: Any, fresh_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[subprocess.Popen[str]]:
    """A script that runs, has logged everything, and prints what it is told."""
    folder = tmp_path_factory.mktemp("script")
    (folder / "notes.md").write_text(NOTES)
    (folder / "best.pt").write_bytes(FILE)
    (folder / "train.py").write_text("")
    author = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for words in (["init", "-q"], ["add", "train.py"], [*author, "commit", "-q", "-m", "empty"]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    (folder / "train.py").write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, "train.py", "notes.md", "best.pt"],
        cwd=folder,
        env={**os.environ, "DEEPEVENT_HOME": str(fresh_home), "DEEPEVENT_SYSTEM_INTERVAL": "0"},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process
    process.stdin.close()  # type: ignore[union-attr]
    process.wait(60)
    process.stderr.close()  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def run(script: subprocess.Popen[str]) -> str:
    """The script's run, once the server has all that it logged."""
    assert script.stderr is not None
    for line in script.stderr:
        if len(line.strip()) == 26:
            return line.strip()
    raise AssertionError("the script ended early")


def test_the_overview_says_what_the_run_was(open_page: Callable[..., Page], run: str) -> None:
    """Config can be searched; command, packages, the commit and its diff, and metrics' extremes are there."""
    page = open_page(f"/runs/{run}?tab=overview")
    config = page.locator(".tree-card").filter(has=page.get_by_role("heading", name="Config"))
    expect(config).to_contain_text("det12")
    config.get_by_label("Search Config").fill("kind")
    expect(config.locator(".leaf")).to_have_count(1)
    expect(page.get_by_text("train.py notes.md best.pt")).to_be_visible()
    packages = page.locator(".tree-card").filter(has=page.get_by_role("heading", name="Packages"))
    packages.get_by_label("Search Packages").fill("numpy")
    expect(packages.locator(".leaf").first).to_contain_text("numpy")
    expect(page.get_by_role("row", name="val/loss")).to_contain_text("0.2000")
    git = page.locator(".facts").filter(has=page.get_by_role("heading", name="Git"))
    expect(git).to_contain_text("with changes")
    git.get_by_text("Changes that were not committed").click()
    expect(git.locator(".added").get_by_text("+import deepevent", exact=True)).to_be_visible()


def test_notes_are_markdown_and_nothing_more(open_page: Callable[..., Page], run: str, server: Any) -> None:
    """Headings, lists, tables and links are made; HTML stays text, `javascript:` is no link."""
    page = open_page(f"/runs/{run}?tab=overview")
    notes = page.get_by_label("Notes", exact=True)
    expect(notes.get_by_role("heading", name="Why")).to_be_visible()
    expect(notes.locator("strong")).to_have_text("second")
    expect(notes.get_by_role("link")).to_have_count(1)
    assert notes.get_by_role("link").get_attribute("rel") == "noopener noreferrer nofollow"
    expect(notes.get_by_role("cell", name="0.98")).to_be_visible()
    expect(notes).to_contain_text("<img src=x")
    assert page.locator("img[src=x]").count() == 0
    notes.get_by_role("button", name="edit").click()
    page.get_by_label("Notes, in Markdown").fill("## Shorter")
    with changed(page):
        page.get_by_role("button", name="Save").click()
    expect(notes.get_by_role("heading", name="Shorter")).to_be_visible()
    assert server.call("GET", f"/api/v1/runs/{run}").json()["notes"] == "## Shorter"
    page.get_by_role("button", name="Undo").click()
    expect(notes.get_by_role("heading", name="Why")).to_be_visible()


def test_media_go_through_their_steps(open_page: Callable[..., Page], run: str) -> None:
    """Images, histograms and texts have a slider over the steps; a table is sorted by a press."""
    page = open_page(f"/runs/{run}?tab=media")
    image = page.locator(".media-card").filter(has_text="sample")
    expect(image.locator(".caption")).to_have_text("after 4")
    image.get_by_label("Step of sample").focus()
    page.keyboard.press("ArrowLeft")
    expect(image.locator(".caption")).to_have_text("after 3")
    tower = page.get_by_role("img", name="tower").bounding_box()
    assert tower is not None
    assert 0 < tower["height"] <= 420
    expect(page.get_by_role("img", name="Heat map of weights over 5 steps")).to_be_visible()
    drawn = "c => new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer)"
    coloured = f"c => new Set(({drawn})(c)).size"
    assert page.locator(".heat canvas").evaluate(coloured) > 10
    story = page.locator(".media-card").filter(has_text="story")
    story.get_by_role("button", name="Earlier story").click()
    expect(story.locator("pre")).to_have_text("chapter 3")
    table = page.locator(".media-card").filter(has_text="confusion")
    table.get_by_role("button", name="n", exact=True).click()
    expect(table.locator("tbody td:first-child")).to_have_text(["c", "b", "a"])
    page.get_by_label("Find media by name").fill("story")
    expect(page.locator(".media-card")).to_have_count(1)


def test_a_figure_is_drawn_in_a_sandbox(open_page: Callable[..., Page], run: str, server: Any) -> None:
    """A logged Plotly figure is interactive, and cannot reach the page, its cookie or the network."""
    page = open_page(f"/runs/{run}?tab=media")
    frame = page.frame_locator("iframe[title='Figure roc']")
    expect(frame.locator(".scatterlayer .trace")).to_have_count(1)
    element = page.locator("iframe[title='Figure roc']")
    assert element.get_attribute("sandbox") == "allow-scripts"
    inside = page.frames[-1]
    assert inside.evaluate("window.origin") == "null"
    assert page.evaluate("window.hacked") is None
    policy = server.sign_in().get(f"{server.url}/figure", timeout=30).headers["Content-Security-Policy"]
    assert "sandbox allow-scripts" in policy
    assert "default-src 'none'" in policy
    assert "connect-src" not in policy
    assert "frame-ancestors 'self'" in policy


def test_the_log_is_searched_and_follows(
    open_page: Callable[..., Page], run: str, script: subprocess.Popen[str]
) -> None:
    """A search looks through all lines and goes to its hit; new lines come by the socket and are followed."""
    page = open_page(f"/runs/{run}?tab=logs")
    log = page.get_by_label("Log", exact=True)
    last = log.locator(".line").filter(has_text="line 1999")
    expect(last).to_be_in_viewport()
    assert log.locator(".line").count() < 200
    page.get_by_label("Search the log").fill("NEEDLE")
    expect(page.get_by_text("1 of 1")).to_be_visible()
    expect(log.locator(".line.current")).to_have_text("1235the needle")
    expect(log.locator("mark")).to_be_in_viewport()
    page.get_by_label("Search the log").fill("no such line")
    expect(page.get_by_text("no line holds this")).to_be_visible()
    page.get_by_role("button", name="Follow").click()
    expect(last).to_be_in_viewport()
    polled = []
    page.on("request", lambda request: "/logs" in request.url and polled.append(request.url))
    assert script.stdin is not None
    script.stdin.write("news just in\n")
    script.stdin.flush()
    expect(log.locator(".line").filter(has_text="news just in")).to_be_in_viewport()
    assert len(polled) <= 2  # the line and its end may come apart; nothing is polled


def test_artifacts_are_downloaded_by_their_name(
    open_page: Callable[..., Page], run: str, tmp_path: Path
) -> None:
    """The file that comes is the file that was logged, with its hash beside it and its own name."""
    page = open_page(f"/runs/{run}?tab=artifacts", accept_downloads=True)
    row = page.get_by_role("row", name="model")
    digest = hashlib.sha256(FILE).hexdigest()
    expect(row.get_by_role("button", name=f"Copy the hash {digest}")).to_be_visible()
    with page.expect_download() as started:
        row.get_by_role("link", name="Download").click()
    started.value.save_as(tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == FILE
    assert started.value.suggested_filename == "best.pt"


def test_system_figures_and_alerts_have_their_own_tabs(
    open_page: Callable[..., Page], run: str, server: Any
) -> None:
    """The machine's curves stand apart from the training's; alerts come while one looks, newest first."""
    page = open_page(f"/runs/{run}?tab=system")
    page.wait_for_function("() => window.deepevent.charts().some((c) => c.traces.length)")
    keys = {chart["key"] for chart in page.evaluate("window.deepevent.charts()")}
    assert any("cpu_percent" in key for key in keys)
    assert "loss" not in keys
    page.get_by_role("tab", name="Alerts").click()
    expect(page.locator(".alerts h2")).to_have_text(["warning plateau"])
    event = {"type": "alert", "title": "second", "text": "again", "level": "error"}
    sent = server.call("POST", "/api/v1/events", json={"run": run, "events": [event]})
    assert sent.status_code == 200, sent.text
    expect(page.locator(".alerts h2")).to_have_text(["error second", "warning plateau"])


def test_a_run_is_renamed_archived_and_deleted_on_its_page(
    open_page: Callable[..., Page], server: Any
) -> None:
    """The head of the page renames in place; archive and delete say so there and can be undone."""
    made = server.call("POST", "/api/v1/runs", json={"name": "plain"}).json()["id"]
    page = open_page(f"/runs/{made}")
    page.get_by_role("button", name="rename").click()
    page.get_by_label("Name of the run").fill("better")
    with changed(page):
        page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="better")).to_be_visible()
    assert server.call("GET", f"/api/v1/runs/{made}").json()["name"] == "better"
    page.get_by_role("button", name="Archive", exact=True).click()
    expect(page.get_by_text("This run is archived")).to_be_visible()
    page.get_by_role("button", name="Unarchive").click()
    expect(page.get_by_text("This run is archived")).to_have_count(0)
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("This run is in the trash")).to_be_visible()
    with changed(page):
        page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("This run is in the trash")).to_have_count(0)
    assert server.call("GET", f"/api/v1/runs/{made}").json()["trashed"] is None


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_tab_shuts_anybody_out(
    open_page: Callable[..., Page], run: str, server: Any, barriers: Callable[[Page], list[str]], theme: str
) -> None:
    """axe-core finds nothing serious on any part of the run's page, in both themes."""
    page = open_page(f"/runs/{run}", color_scheme=theme)
    page.wait_for_function("() => window.deepevent.charts().some((c) => c.traces.length)")
    found = barriers(page)
    for tab in ("Overview", "Media", "Logs", "System", "Artifacts", "Alerts"):
        page.get_by_role("tab", name=tab).click()
        expect(page.get_by_role("tabpanel", name=tab)).not_to_be_empty()
        page.wait_for_load_state("networkidle")
        found += barriers(page)
    assert found == []
