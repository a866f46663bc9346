"""`deepevent demo`: a server, and a real training of the cascade's first two nets to watch in it.

Everything a person would do by hand, done by the same commands: `deepevent serve`, `deepevent train det12`,
`deepevent train cal12`. Knows commands and the server's API.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from deepevent.errors import DeepEventError, ServerRefused, ServerUnreachable, TrainingError
from deepevent_trainer import checkpoint
from deepevent_trainer.demo_server import COMMAND, Server, serving

HELP = "start a server and watch a real training in it"

NETS = ("det12", "cal12")
EPOCHS = 30
# Long enough for the curves to be watched, short enough for two cores: one to two seconds an epoch.
CROPS_PER_EPOCH = 28_672
POLL_S = 0.1
STOP_TIMEOUT_S = 20.0
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
        with serving(args.home, args.port) as server:
            _say(_welcome(server, args))
            runs = [_train(net, server, args, clock) for net in NETS]
            _say(_figures(server, runs, clock))
            if not args.once:
                _say("The page stays open until Ctrl-C.")
                server.process.wait()
                raise ServerUnreachable(f"the server ended by itself: see {args.home / 'server.log'}")
    except KeyboardInterrupt:
        _say("Stopped.")
        return 1 if args.once else 0
    except DeepEventError as error:
        sys.stderr.write(f"deepevent demo: {error}\n")
        return 1
    finally:
        signal.signal(signal.SIGTERM, previous)
    return 0


def _train(net: str, server: Server, args: argparse.Namespace, clock: Clock) -> str:
    """Train `net` by its command and return the id of its run.

    Raises:
        TrainingError: if the command failed; its own words stand above.
    """
    out = args.home / "checkpoints"
    command = [*COMMAND, "train", net, "--out", str(out), "--epochs", str(args.epochs), "--batch-norm"]
    command += ["--crops-per-epoch", str(CROPS_PER_EPOCH), "--group", "demo", "--threads", str(_threads())]
    command += ["--notes", _NOTE] if args.data is None else ["--data", str(args.data)]
    process = subprocess.Popen(  # noqa: S603 - our own command, no shell
        command, stdin=subprocess.DEVNULL, env=dict(server.environment)
    )
    try:
        while process.poll() is None:
            if clock.first_point_s is None and _has_point(server):
                clock.first_point_s = clock.seconds()
            try:
                process.wait(POLL_S)
            except subprocess.TimeoutExpired:
                continue
    except KeyboardInterrupt:
        # It writes its checkpoint and ends its run; a second Ctrl-C ends it at once.
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_TIMEOUT_S)
        raise
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if process.returncode:
        raise TrainingError(f"training {net} ended with exit code {process.returncode}")
    run = checkpoint.load(out / f"{net}.pt")["note"].get("run")
    if not isinstance(run, str):
        raise TrainingError(f"the checkpoint of {net} names no run")
    return run


def _threads() -> int:
    """Return how many threads train: one core stays for the server and the browser, where there are two."""
    return max(1, (os.cpu_count() or 1) - 1)


def _has_point(server: Server) -> bool:
    """Return whether the newest run of the demo has a committed point."""
    try:
        newest = server.get("/api/v1/runs?sort=-created&limit=1")["runs"]
    except (ServerUnreachable, ServerRefused):
        # Asked again at once; a server that stays away is noticed when the figures are read.
        return False
    return bool(newest) and newest[0]["status"] == "running" and bool(newest[0]["metrics"])


def _welcome(server: Server, args: argparse.Namespace) -> str:
    data = "100 faces (a demonstration, not a detector for real use)" if args.data is None else str(args.data)
    return (
        f"\nDeepEvent is running at {server.url}\n\n"
        f"  Open      {server.sign_in_link()}\n"
        "            (signs a browser in, once)\n"
        f"  Training  {' then '.join(NETS)}, {args.epochs} epochs each, on {data}\n"
        f"  Data      {args.home.resolve()}\n"
    )


def _figures(server: Server, runs: list[str], clock: Clock) -> str:
    """Return what the server has of the runs, for people.

    Raises:
        TrainingError: if a run is not complete there.
    """
    lines = [f"Trained in {clock.seconds():.1f} s, as read back from {server.url}:"]
    if clock.first_point_s is not None:
        lines.append(f"  first committed point after {clock.first_point_s:.1f} s")
    for net, run_id in zip(NETS, runs, strict=True):
        run = server.run(run_id)
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
