"""A training in miniature: logs a step, writes a checkpoint, and goes on from it when told to."""

import argparse
import os
import time
from pathlib import Path

import deepevent

parser = argparse.ArgumentParser()
parser.add_argument("state", type=Path)
parser.add_argument("--until", type=int)
parser.add_argument("--pause-s", type=float)
parser.add_argument("--resume", action="store_true")
arguments = parser.parse_args()
run = deepevent.start()
first = int(arguments.state.read_text()) + 1 if arguments.resume else 0
print(f"process {os.getpid()} begins at {first}", flush=True)
for step in range(first, arguments.until):
    run.log({"count": step, "process": os.getpid()}, step=step)
    partial = arguments.state.with_suffix(".part")
    partial.write_text(str(step))
    partial.replace(arguments.state)
    time.sleep(arguments.pause_s)
