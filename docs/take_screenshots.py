"""Take the documentation's pictures from a running demo: real runs of the trainer, the page as it is.

    make demo                                 # in one terminal; let it train
    .venv/bin/python docs/take_screenshots.py # in another (needs the [test] extra and a Chromium)

The demo's home is `.demo` unless an argument names another.
"""

from __future__ import annotations

import json
import shutil
import sys
import urllib.request
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

IMAGES = Path(__file__).parent / "images"
SIZE = {"width": 1440, "height": 900}
TELEPHONE = {"width": 390, "height": 844}


def call(place: dict[str, str], method: str, path: str) -> Any:
    """Call the server's API with the local token and return its JSON."""
    request = urllib.request.Request(
        place["url"] + "/api/v1" + path,
        method=method,
        data=b"{}" if method == "POST" else None,
        headers={"Authorization": f"Bearer {place['token']}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def take(page: Page, address: str, name: str, ready: str) -> None:
    """Open an address, wait until `ready` is on the page and its charts are drawn, and keep a picture."""
    page.goto(address)
    page.wait_for_selector(ready)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(1500)
    page.screenshot(path=IMAGES / f"{name}.png")
    print(IMAGES / f"{name}.png")


def main(home: str = ".demo") -> None:
    """Take all pictures in both themes."""
    place = json.loads((Path(home) / "server.json").read_text())
    runs = call(place, "GET", "/runs")["runs"]
    sweeps = [sweep for sweep in call(place, "GET", "/sweeps")["sweeps"] if sweep["best"]]
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for theme in ("light", "dark"):
            page = browser.new_context(viewport=SIZE, color_scheme=theme).new_page()
            page.goto(call(place, "POST", "/session/codes")["url"])
            page.wait_for_url(lambda url: "/signin" not in url)
            take(page, f"{place['url']}/?x=epoch", f"runs-{theme}", ".main-svg")
            with_detections = next(run for run in runs if run["n_media"])
            address = f"{place['url']}/runs/{with_detections['id']}?tab=detections"
            take(page, address, f"detections-{theme}", ".funnel, [class*=funnel]")
            run = f"{place['url']}/runs/{with_detections['id']}"
            take(page, f"{run}?x=epoch", f"run-{theme}", ".main-svg")
            take(page, f"{place['url']}/jobs", f"jobs-{theme}", "main")
            take(page, f"{place['url']}/settings", f"settings-{theme}", "main")
            page.set_viewport_size(TELEPHONE)
            take(page, f"{place['url']}/?x=epoch", f"telephone-{theme}", ".main-svg")
            page.set_viewport_size(SIZE)
            if len(runs) > 1:
                ids = ",".join(one["id"] for one in runs[:20])
                take(page, f"{place['url']}/compare?runs={ids}", f"compare-{theme}", ".compare")
                address = f"{place['url']}/compare?runs={ids}&tab=relations"
                take(page, address, f"relations-{theme}", ".parallel")
            if sweeps:  # `deepevent sweep train-det12 … --trials 10` beside the demo makes one
                address = f"{place['url']}/sweeps/{sweeps[0]['id']}?trial={sweeps[0]['best']['number']}"
                take(page, address, f"sweep-{theme}", ".importance")
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
