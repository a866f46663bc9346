"""From `run.log` to the pixel: how long a point takes until a real Chromium has drawn it.

A script logs one point at a time at uneven intervals while a page shows the run, and the page notes when a
frame with the point was painted. Script and page share the machine's clock, so each point is one subtraction.
It starts its own server on a fresh home.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

BUDGET_P50_MS = 150.0
BUDGET_P99_MS = 400.0
N_WARM_UP = 10
DRAWN_LIMIT_S = 60
LOGGER = """
import random, sys, time
import deepevent
n, warm_up = int(sys.argv[1]), int(sys.argv[2])
run = deepevent.start(name="log to pixel")
run.log({"train/loss": 1.0}, step=0)
print("ready", flush=True)
sys.stdin.readline()
noise = random.Random(0)
for step in range(1, warm_up + n + 1):
    time.sleep(noise.uniform(0.15, 0.55))
    before = time.time()
    run.log({"train/loss": 1 / step}, step=step)
    print(step, before, flush=True)
run.finish()
"""
# Notes the first painted frame that holds each step: Plotly tells when it has drawn, and the frame after that
# callback is the one that shows it.
WATCH = """
() => {
  window.painted = {};
  const plot = document.querySelector(".plot");
  const note = () => requestAnimationFrame(() => {
    const at = (performance.timeOrigin + performance.now()) / 1000;
    for (const step of plot.data.find((t) => t.meta.metric === "train/loss").x) window.painted[step] ??= at;
  });
  note();
  plot.on("plotly_afterplot", note);
}
"""


def measure(page: Page, link: str, n: int) -> list[float]:
    """Log `n` points and return the milliseconds from each log call to its painted frame."""
    page.goto(link)
    script = subprocess.Popen(
        [sys.executable, "-c", LOGGER, str(n), str(N_WARM_UP)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert script.stdin is not None
    assert script.stdout is not None
    script.stdout.readline()
    page.wait_for_function(
        "() => window.deepevent?.charts().some((c) => c.traces.length)", timeout=DRAWN_LIMIT_S * 1000
    )
    page.evaluate(WATCH)
    script.stdin.write("go\n")
    script.stdin.flush()
    logged: dict[int, float] = {}
    while len(logged) < n + N_WARM_UP:
        line = script.stdout.readline()
        if not line:
            raise SystemExit("the script that logs ended early")
        step, before = line.split()
        logged[int(step)] = float(before)
        page.evaluate("0")  # lets Playwright handle its events while we wait
    page.wait_for_function("(step) => window.painted[step]", arg=n + N_WARM_UP, timeout=DRAWN_LIMIT_S * 1000)
    painted = {int(step): at for step, at in page.evaluate("window.painted").items()}
    script.stdin.close()
    script.wait()
    return [1000 * (painted[step] - at) for step, at in logged.items() if step > N_WARM_UP]


def start_server(home: Path) -> tuple[subprocess.Popen[str], str]:
    """Start `deepevent serve` on a free port and return it with its sign-in link."""
    server = subprocess.Popen(
        [str(Path(sys.executable).with_name("deepevent")), "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "DEEPEVENT_HOME": str(home)},
    )
    assert server.stdout is not None
    for line in server.stdout:
        found = re.search(r"https?://\S+/signin#\S+", line)
        if found:
            return server, found[0]
    raise SystemExit("the server did not start")


def main() -> None:
    """Measure and print p50 and p99 beside their budgets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=200, help="points to measure (default: 200)")
    count = parser.parse_args().points
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        os.environ["DEEPEVENT_HOME"] = folder
        server, link = start_server(Path(folder))
        chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            taken = measure(browser.new_page(viewport={"width": 1440, "height": 900}), link, count)
        finally:
            browser.close()
            server.terminate()
            server.wait()
    cuts = statistics.quantiles(taken, n=100)
    print(f"log call → painted frame, {len(taken)} points")
    print(f"  p50   {cuts[49]:4.0f} ms (budget {BUDGET_P50_MS:.0f})")
    print(f"  p99   {cuts[98]:4.0f} ms (budget {BUDGET_P99_MS:.0f})")
    print(f"  worst {max(taken):4.0f} ms")


if __name__ == "__main__":
    main()
