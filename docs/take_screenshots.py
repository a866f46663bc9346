"""Take the documentation's pictures from a running demo: real runs of the trainer, the page as it is.

    make demo                                 # in one terminal; let it train
    .venv/bin/python docs/take_screenshots.py # in another (needs the [test] extra and a Chromium)

The demo's home is `.demo` unless an argument names another. A sweep of `train-det12` in it (docs/jobs.md)
gives the pictures of sweeps and of comparisons something to show.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

from PIL import Image
from playwright.sync_api import Page, sync_playwright

IMAGES = Path(__file__).parent / "images"
SIZE = {"width": 1440, "height": 900}
TELEPHONE = {"width": 390, "height": 844}
COLOURS = 256
WITH_PHOTOGRAPHS = ("detections", "photographs")
FILTER = 'config.net = "det12" and metrics["val/accuracy"].max > 0.9'


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
    keep(page, name)


def keep(page: Page, name: str) -> None:
    """Keep what the page shows; with photographs in fewer colours, for a third of the size."""
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    if name.startswith(WITH_PHOTOGRAPHS):
        picture = picture.quantize(COLOURS, dither=Image.Dither.FLOYDSTEINBERG)
    picture.save(IMAGES / f"{name}.png", optimize=True)
    print(IMAGES / f"{name}.png")


def point_at_the_face(page: Page) -> None:
    """Follow the best window on the photograph's first face, as a person who points at it."""
    page.get_by_text("Face at").first.click()
    page.wait_for_timeout(300)


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
            take(page, f"{place['url']}/?x=epoch&filter={quote(FILTER)}", f"runs-{theme}", ".main-svg")
            by_name = {one["name"]: one for one in runs if one["n_media"]}
            shipped = by_name["the detector that ships"]["id"]
            take(page, f"{place['url']}/runs/{shipped}?tab=detections", f"detections-{theme}", ".stage")
            point_at_the_face(page)
            keep(page, f"detections-{theme}")
            run = f"{place['url']}/runs/{by_name['det12 (demo)']['id']}"
            take(page, f"{run}?x=epoch", f"run-{theme}", ".main-svg")
            take(page, f"{place['url']}/jobs", f"jobs-{theme}", "main")
            take(page, f"{place['url']}/settings", f"settings-{theme}", "main")
            page.set_viewport_size(TELEPHONE)
            take(page, f"{place['url']}/?x=epoch", f"telephone-{theme}", ".main-svg")
            page.set_viewport_size(SIZE)
            ids = ",".join(one["id"] for one in runs if one["config"].get("net") == "det12")
            if "," in ids:
                compare = f"{place['url']}/compare?runs={ids}"
                take(page, f"{compare}&x=epoch", f"compare-{theme}", ".compare")
                take(page, f"{compare}&tab=relations", f"relations-{theme}", ".parallel")
                take(page, f"{compare}&tab=photographs", f"photographs-{theme}", ".photo-tile canvas")
            if sweeps:
                address = f"{place['url']}/sweeps/{sweeps[0]['id']}?trial={sweeps[0]['best']['number']}"
                take(page, address, f"sweep-{theme}", ".importance")
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
