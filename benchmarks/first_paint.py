"""Claim: the dashboard of a thousand runs is there within a second.

From the start of the navigation to the painted frame in which the run table stands with its values, and to
the frame in which the first chart has its lines; in a real Chromium on the server's own machine, first with
an empty cache and then as everybody meets it who has been there before.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from benchmarks.claim import Claim, Column, Subject

N_RUNS = 1000
PATIENCE_MS = 60_000
# The moment after the next frame, since navigation began, once something stands on the page.
PAINTED = """
(selector) => new Promise((done) => {
  const look = () => {
    if (!document.querySelector(selector)) return requestAnimationFrame(look);
    const channel = new MessageChannel();
    channel.port1.onmessage = () => done(performance.now());
    requestAnimationFrame(() => channel.port2.postMessage(null));
  };
  look();
})
"""
TABLE = "table.runs tr[data-run] td.number"
CHART = ".plot .scatterlayer .trace path"


def prepare(subject: Subject, folder: Path) -> None:
    """Write the runs straight into the tables: how they came is not what is measured."""
    from benchmarks.library import fill

    home = folder / "home"
    home.mkdir(mode=0o700)
    fill(home, N_RUNS)


def measure(subject: Subject, folder: Path) -> dict[str, float]:
    """Open the page twice in a fresh browser profile."""
    from playwright.sync_api import sync_playwright

    from benchmarks.log_to_pixel import start_server

    os.environ["DEEPEVENT_HOME"] = str(folder / "home")
    server, link = start_server(folder / "home")
    try:
        with sync_playwright() as playwright:
            chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
            page.set_default_timeout(PATIENCE_MS)
            page.goto(link)
            page.wait_for_url(lambda url: "/signin" not in url)
            address = link.split("/signin")[0] + "/"
            first = _open(page, address, cached=False)
            again = _open(page, address, cached=True)
            browser.close()
    finally:
        server.terminate()
        server.wait()
    return {"cold_table": first[0], "cold_chart": first[1], "table": again[0], "chart": again[1]}


def _open(page: Any, address: str, cached: bool) -> tuple[float, float]:
    if not cached:
        page.context.new_cdp_session(page).send("Network.clearBrowserCache")
    page.goto(address, wait_until="commit")
    return page.evaluate(PAINTED, TABLE), page.evaluate(PAINTED, CHART)


CLAIM = Claim(
    name="first_paint",
    title="The dashboard of 1,000 runs, ms until it is painted",
    how=(
        "A real Chromium opens `/` on the server's own machine, signed in, with an empty cache and then"
        " with a warm one. From the start of the navigation to the frame in which rows with values stand in"
        " the run table, and to the one in which the first chart has its lines."
    ),
    columns=(
        Column("cold_table", "table, empty cache", 0, budget=1000),
        Column("cold_chart", "chart, empty cache", 0),
        Column("table", "table, warm cache", 0, budget=1000),
        Column("chart", "chart, warm cache", 0),
    ),
    prepare=prepare,
    measure=measure,
    peers=(),
)
