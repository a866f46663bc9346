"""`deepevent demo`: a server, an agent, and a real training of the cascade's first two nets as its jobs.

Everything a person would do by hand, done by the same means: `deepevent serve`, `deepevent agent`, and two
jobs of the recipes that ship. Knows commands, recipes and the server's API.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from deepevent.errors import DeepEventError, ServerUnreachable, SettingsError, TrainingError
from deepevent_trainer.demo_agent import DemoAgent, working
from deepevent_trainer.demo_detection import show_shipped
from deepevent_trainer.demo_server import Server, serving

HELP = "start a server and watch a real training in it"

NETS = ("det12", "cal12")
EPOCHS = 30
LEARNING_RATE = 0.05
# Long enough for the curves to be watched, short enough for two cores: one to two seconds an epoch.
CROPS_PER_EPOCH = 28_672
POLL_S = 0.3
RETRIES = 3
NAME = "{net} (demo)"
ENDED = ("completed", "failed", "stopped", "lost")
_NOTE = (
    "This is a demonstration on 100 faces: it shows a training, not a good detector. "
    "Its accuracies hold for the 32 persons that were held out, and for nothing else."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `deepevent demo`."""
    parser.add_argument("--once", action="store_true", help="train to the end without a browser, then stop")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="annotated photographs (docs/data.md); else 100 bundled faces",
    )
    parser.add_argument(
        "--home",
        type=Path,
        default=Path(".demo"),
        metavar="DIR",
        help="where the demo keeps its data (%(default)s)",
    )
    parser.add_argument("--port", type=int, help="(6060, or any free one when that is taken)")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of each net (%(default)s)")


@dataclass
class Clock:
    """Seconds since the demo began."""

    started: float = field(default_factory=time.monotonic)
    first_point_s: float | None = None

    def seconds(self) -> float:
        """Return them."""
        return time.monotonic() - self.started


def execute(args: argparse.Namespace) -> int:
    """Run the demo; return 0 when both nets were trained and the server has their figures."""
    clock = Clock()
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        if args.data is not None and not args.data.is_dir():
            raise SettingsError(f"--data {str(args.data)!r} is not a folder")
        with (
            serving(args.home, args.port) as server,
            working(server, args.home / "agent.log", args.data) as agent,
        ):
            _say(_welcome(server, args))
            _say(f"The detector that ships, before any training:\n{show_shipped(server.environment)}\n")
            jobs = _queue_jobs(server, agent, args)
            for job in jobs:
                _wait_for(job, server, agent, clock)
            _say(_figures(server, [job["run"] for job in jobs], clock))
            if not args.once:
                _say("The page stays open, and the agent takes jobs, until Ctrl-C.")
                _stay(server, agent, args.home)
    except KeyboardInterrupt:
        _say("Stopped.")
        return 1 if args.once else 0
    except DeepEventError as error:
        sys.stderr.write(f"deepevent demo: {error}\n")
        return 1
    finally:
        signal.signal(signal.SIGTERM, previous)
    return 0


def _queue_jobs(server: Server, agent: DemoAgent, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Queue a job for each net, the second behind the first whose net it uses, and return them."""
    _stop_unfinished(server)
    while not _offered(server):
        agent.keep_alive()
        time.sleep(POLL_S)
    common: dict[str, Any] = {
        "epochs": args.epochs,
        "crops_per_epoch": CROPS_PER_EPOCH,
        "batch_norm": True,
        "learning_rate": LEARNING_RATE,
        "threads": _threads(),
        "group": "demo",
    }
    common |= {"notes": _NOTE} if args.data is None else {"data": "."}
    jobs: list[dict[str, Any]] = []
    for net in NETS:
        inputs = {"det12": f"{jobs[0]['run']}/work/det12.pt"} if net == "cal12" else {}
        body = {
            "recipe": f"train-{net}",
            "parameters": {**common, **inputs},
            "name": NAME.format(net=net),
            "project": "cascade",
            "after": [job["id"] for job in jobs],
            "max_retries": RETRIES,
        }
        jobs.append(server.api.call("POST", "/jobs", body))
    return jobs


def _stop_unfinished(server: Server) -> None:
    """Stop what an earlier demo in this home has left: a person can queue it again from the page."""
    names = {NAME.format(net=net) for net in NETS}
    for job in server.get("/jobs?state=queued,claimed,running,lost&limit=200")["jobs"]:
        if job["name"] in names:
            server.api.call("POST", f"/jobs/{job['id']}/stop")


def _offered(server: Server) -> bool:
    """Return whether a living agent offers the recipes."""
    offers = server.get("/recipes")["recipes"]
    alive = {offer["name"] for offer in offers if offer["alive"]}
    return all(f"train-{net}" in alive for net in NETS)


def _wait_for(job: dict[str, Any], server: Server, agent: DemoAgent, clock: Clock) -> None:
    """Return when a job has completed.

    Raises:
        TrainingError: it ended otherwise; with its reason.
    """
    told = ""
    while True:
        agent.keep_alive()
        if clock.first_point_s is None and _has_point(server, job["run"]):
            clock.first_point_s = clock.seconds()
        now = server.get(f"/jobs/{job['id']}")
        if now["state"] != told and now["state"] in ("running", "completed"):
            told = now["state"]
            _say(f"  {clock.seconds():5.1f} s  job {job['id']}, {job['name']}: {told}")
        if now["state"] == "completed":
            return
        # What is lost with its agent goes on; what fails once would fail again.
        failed = next((attempt for attempt in now["attempts"] if attempt["state"] == "failed"), None)
        if failed is not None or now["state"] in ENDED:
            server.api.call("POST", f"/jobs/{job['id']}/stop")
            state, reason = ("failed", failed["reason"]) if failed else (now["state"], now["reason"])
            raise TrainingError(
                f"job {job['id']}, {job['name']}, is {state}: {reason or 'somebody stopped it'}"
            )
        time.sleep(POLL_S)


def _stay(server: Server, agent: DemoAgent, home: Path) -> None:
    """Keep the agent alive until Ctrl-C.

    Raises:
        ServerUnreachable: the server has ended.
    """
    while server.process.poll() is None:
        agent.keep_alive()
        time.sleep(POLL_S)
    raise ServerUnreachable(f"the server ended by itself: see {home / 'server.log'}")


def _threads() -> int:
    """Return how many threads train: one core stays for the server and the browser, where there are two."""
    return max(1, (os.cpu_count() or 1) - 1)


def _has_point(server: Server, run_id: str) -> bool:
    """Return whether a job's run, which begins with the job, has a committed point."""
    newest = server.get("/runs?sort=-created&limit=1")["runs"]
    return bool(newest) and newest[0]["id"] == run_id and bool(newest[0]["metrics"])


def _welcome(server: Server, args: argparse.Namespace) -> str:
    data = "100 faces (a demonstration, not a detector for real use)" if args.data is None else str(args.data)
    return (
        f"\nDeepEvent is running at {server.url}\n\n"
        f"  Open      {server.sign_in_link()}\n"
        "            (signs a browser in, once)\n"
        f"  Training  {' then '.join(NETS)} as jobs of the queue, {args.epochs} epochs each,\n"
        f"            on {data}\n"
        f"  Data      {args.home.resolve()}\n"
    )


def _figures(server: Server, runs: list[str], clock: Clock) -> str:
    """Return what the server has of the runs, for people.

    Raises:
        TrainingError: if a run is not complete there.
    """
    lines = [f"\nTrained in {clock.seconds():.1f} s, as read back from {server.url}:"]
    if clock.first_point_s is not None:
        lines.append(f"  first committed point after {clock.first_point_s:.1f} s")
    for net, run_id in zip(NETS, runs, strict=True):
        run = server.get(f"/runs/{run_id}")
        if run["status"] != "completed" or "val/accuracy" not in run["metrics"]:
            raise TrainingError(f"the server has {net} as {run['status']!r}, without its last figures")
        lines.append(f"  {net}: {_sentence(run)}")
        lines.append(f"         {server.url}/runs/{run_id}")
    return "\n".join(lines)


def _sentence(run: dict[str, Any]) -> str:
    def last(metric: str) -> float:
        return float(run["metrics"][metric]["last"])

    config = run["config"]
    told = f"{run['metrics']['val/accuracy']['n']} epochs, validation accuracy {last('val/accuracy'):.3f}"
    n_faces, n_photographs = config["n_validation_faces"], config["n_validation_photographs"]
    faces = f"{n_faces:,} faces of {n_photographs:,} held-out photographs"
    if "val/iou_after" in run["metrics"]:
        before, after = last("val/iou_before"), last("val/iou_after")
        return f"{told} (45 moves of {faces}), overlap {before:.3f} before and {after:.3f} after calibration"
    precision, recall = last("val/precision"), last("val/recall")
    background = f"{config['n_validation_background']:,} background windows"
    return f"{told} ({faces}, {background}), precision {precision:.3f}, recall {recall:.3f}"


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(message: str) -> None:
    sys.stdout.write(message + "\n")
    sys.stdout.flush()
