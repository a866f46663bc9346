"""Whether the page stays responsive: 20 runs × 20 charts at 10 points a second each, in a real Chromium.

Scripts log at that rate into a real server while one page shows all runs. For a while somebody works on the
page: moves the pointer over charts, scrolls, and types. The page notes its long tasks, how long each input
waited for its handler and for the next frame, and how often each chart was drawn. Then the scripts stop and
the same work is done once more: what that page without news takes is the machine's own share.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from benchmarks.log_to_pixel import start_server

N_PROCESSES = 4
SETTLE_S = 10.0
DRAWN_LIMIT_S = 120
KINDS = ("pointermove", "wheel", "keydown")
LOGGER = """
import math, random, sys, time
import deepevent
first, n_runs, n_charts, rate = (int(word) for word in sys.argv[1:])
runs = [deepevent.start(name=f"run {first + i:02}", project="load") for i in range(n_runs)]
noise = random.Random(first)
print(" ".join(run.id for run in runs), flush=True)
step, due = 0, time.monotonic()
while True:
    for at, run in enumerate(runs):
        level = math.exp(-step / 3000) + 0.02 * (first + at)
        values = {f"part{i // 5}/metric{i:02}": level + 0.05 * noise.random() for i in range(n_charts)}
        run.log(values, step=step)
    step += 1
    due += 1 / rate
    time.sleep(max(0.0, due - time.monotonic()))
"""
# Notes everything from now on. An input's wait is from the time that the browser gave it until our handler;
# its answer is the frame after that.
WATCH = """
(kinds) => {
  const seen = (window.seen = { long: [], inputs: [] });
  new PerformanceObserver((list) => seen.long.push(...list.getEntries().map((entry) => entry.duration)))
    .observe({ type: "longtask" });
  for (const kind of kinds) {
    addEventListener(kind, (event) => {
      const waited = performance.now() - event.timeStamp;
      requestAnimationFrame(() => {
        const channel = new MessageChannel();
        channel.port1.onmessage = () =>
          seen.inputs.push({ kind, waited, answered: performance.now() - event.timeStamp });
        channel.port2.postMessage(null);
      });
    }, { capture: true, passive: true });
  }
}
"""
SHOWN = """
(n) => {
  const visible = window.deepevent?.charts().filter((chart) => chart.visible) ?? [];
  return visible.length > 0 && visible.every((chart) => chart.traces.length >= n);
}
"""
DRAWS = "() => window.deepevent.charts().map(({ key, visible, draws }) => ({ key, visible, draws }))"


def start_scripts(n_runs: int, n_charts: int, rate: int) -> tuple[list[subprocess.Popen[str]], list[str]]:
    """Start the scripts and return them with the ids of their runs."""
    scripts, ids = [], []
    share = n_runs // N_PROCESSES
    for number in range(N_PROCESSES):
        arguments = [str(number * share), str(share), str(n_charts), str(rate)]
        script = subprocess.Popen(
            [sys.executable, "-c", LOGGER, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert script.stdout is not None
        ids += script.stdout.readline().split()
        scripts.append(script)
    return scripts, ids


def end(scripts: list[subprocess.Popen[str]]) -> None:
    """End the scripts; again changes nothing."""
    for script in scripts:
        script.kill()
        script.wait()
        if script.stdout is not None:
            script.stdout.close()


def work(page: Page, seconds: float) -> None:
    """Do what somebody does on a page of charts: point, scroll, type."""
    chance = random.Random(0)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        what = chance.random()
        x, y = chance.uniform(700, 1400), chance.uniform(150, 850)
        if what < 0.6:
            page.mouse.move(x, y, steps=3)
        elif what < 0.8:
            page.mouse.wheel(0, chance.choice((-240, 240)))
        else:
            page.keyboard.press(chance.choice(("j", "k")))
        page.wait_for_timeout(chance.uniform(40, 250))


def measure(page: Page, seconds: float, busy: bool) -> dict[str, Any]:
    """Watch the page for a while, with somebody working on it or not, and sum up."""
    page.evaluate("() => { window.seen.long.length = 0; window.seen.inputs.length = 0; }")
    before = {chart["key"]: chart for chart in page.evaluate(DRAWS)}
    begun = time.monotonic()
    if busy:
        work(page, seconds)
    else:
        page.wait_for_timeout(seconds * 1000)
    took = time.monotonic() - begun
    after = page.evaluate(DRAWS)
    seen = page.evaluate("window.seen")
    shown = [c for c in after if c["visible"] and before[c["key"]]["visible"]]
    hidden = [c for c in after if not c["visible"] and not before[c["key"]]["visible"]]
    rates = [(c["draws"] - before[c["key"]]["draws"]) / took for c in shown]
    found: dict[str, Any] = {
        "visible_charts": len(shown),
        "redraws_per_s": round(sum(rates), 1),
        "redraws_per_chart_per_s": round(statistics.mean(rates), 2) if rates else 0.0,
        "offscreen_redraws": 0 if busy else sum(c["draws"] - before[c["key"]]["draws"] for c in hidden),
        "long_tasks_per_s": round(len(seen["long"]) / took, 2),
        "long_task_p50_ms": round(_quantile(seen["long"], 0.5)),
        "long_task_max_ms": round(max(seen["long"], default=0.0)),
        "long_task_share": round(sum(seen["long"]) / 1000 / took, 3),
    }
    if busy:
        waits = [one["waited"] for one in seen["inputs"]]
        answers = [one["answered"] for one in seen["inputs"]]
        found |= {"inputs": len(waits)}
        for name, values in (("input_delay", waits), ("input_to_frame", answers)):
            for label, part in (("p50", 0.5), ("p95", 0.95), ("max", 1.0)):
                found[f"{name}_{label}_ms"] = round(_quantile(values, part), 1)
    return found


def _quantile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0


def main() -> None:
    """Measure an untouched page and one that somebody works on, and print both as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help=f"a multiple of {N_PROCESSES} (default: 20)")
    parser.add_argument("--charts", type=int, default=20, help="metrics of each run (default: 20)")
    parser.add_argument("--rate", type=int, default=10, help="points a second of each metric (default: 10)")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long to watch (default: 30)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        os.environ["DEEPEVENT_HOME"] = folder
        server, link = start_server(Path(folder))
        scripts, ids = start_scripts(options.runs, options.charts, options.rate)
        chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(link)
            page.wait_for_url(lambda url: "signin" not in url)
            page.goto(f"{link.split('/signin')[0]}/?show={','.join(ids)}")
            page.wait_for_function(
                SHOWN,
                arg=options.runs,
                timeout=DRAWN_LIMIT_S * 1000,
            )
            page.evaluate(WATCH, list(KINDS))
            page.wait_for_timeout(SETTLE_S * 1000)
            load = {"runs": options.runs, "charts": options.charts, "points_per_s": options.rate}
            idle = measure(page, options.seconds, busy=False)
            busy = measure(page, options.seconds, busy=True)
            load_average = os.getloadavg()[0]
            end(scripts)
            page.wait_for_timeout(SETTLE_S * 1000)
            control = measure(page, options.seconds, busy=True)
        finally:
            browser.close()
            end(scripts)
            server.terminate()
            server.wait()
    found = {"load": load, "load_average": load_average, "cores": os.cpu_count()}
    print(json.dumps(found | {"untouched": idle, "at_work": busy, "at_work_without_news": control}, indent=2))


if __name__ == "__main__":
    main()
