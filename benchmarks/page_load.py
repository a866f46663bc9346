"""Whether the page stays responsive: 20 runs × 20 charts at 10 points a second each, in a real Chromium.

Scripts log at that rate into a real server while one page shows all runs. For a while somebody works on the
page: moves the pointer over charts, scrolls, and types. The page notes its long tasks, how long each input
waited for its handler and for the next frame, and how often each chart was drawn. Then the scripts stop and
the same work is done once more: what that page without news takes is the machine's own share.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import CDPSession, Page, sync_playwright

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
HEAD = (
    "                          charts × redraws  in all   long tasks: rate, p50, max, share   CPU"
    "   input delay p50, p95, max   input to frame p50, p95, max"
)
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


@dataclass(frozen=True)
class Watched:
    """What a page did for a while; times in milliseconds.

    Attributes:
        took_s: how long it was watched.
        rates: redraws a second of each chart that was on screen all the time.
        hidden: redraws of charts that were never on screen.
        long: each task of more than 50 ms.
        waits: from each input to its handler.
        answers: from each input to the frame after it.
        cpu_s: what the page's main thread took of a processor, which other programs cannot stretch.
    """

    took_s: float
    rates: list[float]
    hidden: int
    long: list[float]
    waits: list[float]
    answers: list[float]
    cpu_s: float


def cpu_seconds(session: CDPSession) -> float:
    """CPU time of the page's main thread so far."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))


def measure(page: Page, session: CDPSession, seconds: float, busy: bool) -> Watched:
    """Watch the page for a while, with somebody working on it or not."""
    page.evaluate("() => { window.seen.long.length = 0; window.seen.inputs.length = 0; }")
    before = {chart["key"]: chart for chart in page.evaluate(DRAWS)}
    begun, spent = time.monotonic(), cpu_seconds(session)
    if busy:
        work(page, seconds)
    else:
        page.wait_for_timeout(seconds * 1000)
    took_s, cpu_s = time.monotonic() - begun, cpu_seconds(session) - spent
    after = page.evaluate(DRAWS)
    seen = page.evaluate("window.seen")
    drawn = {chart["key"]: chart["draws"] - before[chart["key"]]["draws"] for chart in after}
    shown = [c["key"] for c in after if c["visible"] and before[c["key"]]["visible"]]
    hidden = [c["key"] for c in after if not c["visible"] and not before[c["key"]]["visible"]]
    return Watched(
        took_s,
        [drawn[key] / took_s for key in shown],
        # Somebody who scrolls brings others on screen in between.
        0 if busy else sum(drawn[key] for key in hidden),
        seen["long"],
        [one["waited"] for one in seen["inputs"]],
        [one["answered"] for one in seen["inputs"]],
        cpu_s,
    )


def line(name: str, watched: Watched) -> str:
    """One row of the table."""
    rate = statistics.mean(watched.rates) if watched.rates else 0.0
    tasks = watched.long
    row = f"{name:26}{len(watched.rates):3} × {rate:4.1f}/s {sum(watched.rates):5.1f}/s"
    row += f"   {len(tasks) / watched.took_s:4.1f}/s {_quantile(tasks, 0.5):4.0f}"
    row += f" {max(tasks, default=0):5.0f} ms"
    row += f" {sum(tasks) / 10 / watched.took_s:3.0f} %   {100 * watched.cpu_s / watched.took_s:4.0f} %"
    for values in (watched.waits, watched.answers):
        if values:
            row += "   " + " ".join(f"{_quantile(values, part):5.0f}" for part in (0.5, 0.95, 1.0)) + " ms"
    return row


def _quantile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0


def main() -> None:
    """Measure an untouched page, one that somebody works on, and that one without news; print a table."""
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
            session = page.context.new_cdp_session(page)
            session.send("Performance.enable", {"timeDomain": "threadTicks"})
            page.wait_for_timeout(SETTLE_S * 1000)
            rows = [line("untouched", untouched := measure(page, session, options.seconds, busy=False))]
            rows.append(line("somebody at work", measure(page, session, options.seconds, busy=True)))
            load_average = os.getloadavg()[0]
            end(scripts)
            page.wait_for_timeout(SETTLE_S * 1000)
            rows.append(line("the same, nothing logged", measure(page, session, options.seconds, busy=True)))
        finally:
            browser.close()
            end(scripts)
            server.terminate()
            server.wait()
    n_points = options.runs * options.charts * options.rate
    print(
        f"{options.runs} runs × {options.charts} charts × {options.rate} points/s = {n_points:,} points/s, "
        f"{options.seconds:.0f} s a row; load average with scripts, server and browser "
        f"{load_average:.1f} on {os.cpu_count()} cores"
    )
    print(HEAD)
    print(*rows, sep="\n")
    print(f"redraws of charts that are not on screen, untouched: {untouched.hidden}")


if __name__ == "__main__":
    main()
