"""A training in miniature whose curve depends on its parameters alone; stops when it is told to."""

import argparse
import time

import deepevent

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--pause-s", type=float, default=0.0)
arguments = parser.parse_args()
reached = 1.0 - abs(arguments.lr - 0.3) - (0.1 if arguments.batch == 32 else 0.0)
run = deepevent.start()
for epoch in range(arguments.epochs):
    if run.should_stop:
        run.finish("stopped")
        break
    run.log({"val/accuracy": reached * (epoch + 1) / arguments.epochs}, step=epoch * 100, epoch=epoch)
    time.sleep(arguments.pause_s)
