"""A training in miniature, decided by its parameters alone; a weak one goes on until it is stopped."""

import argparse
import time

import deepevent

WEAK = 0.5
PATIENCE_S = 120.0

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
parser.add_argument("--batch", type=int)
parser.add_argument("--epochs", type=int)
parser.add_argument("--pause-s", type=float)
arguments = parser.parse_args()
reached = 1.0 - abs(arguments.lr - 0.3) - (0.1 if arguments.batch == 32 else 0.0)
run = deepevent.start()
for epoch in range(arguments.epochs):
    run.log({"val/accuracy": reached * (epoch + 1) / arguments.epochs}, step=epoch * 100, epoch=epoch)
    time.sleep(arguments.pause_s)
    if run.should_stop:
        break
deadline = time.monotonic() + PATIENCE_S
while reached < WEAK and not run.should_stop and time.monotonic() < deadline:
    time.sleep(0.02)
run.finish("stopped" if run.should_stop else "completed")
