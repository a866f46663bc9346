"""What several of the trainer's commands ask for in the same words: photographs, threads and the project.

Knows argparse and where photographs come from; not what a command does with them.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import cv2
import torch

from deepevent.errors import SettingsError
from deepevent_trainer.data.bundled import bundled_photographs
from deepevent_trainer.data.folder import read_folder
from deepevent_trainer.data.photographs import Photograph


def add_project(parser: argparse.ArgumentParser, usual: str) -> None:
    """Add `--project`: a job's runs belong to the job's project, others to the `usual` one."""
    project = os.environ.get("DEEPEVENT_PROJECT") or usual
    parser.add_argument("--project", default=project, help=f"of the runs (DEEPEVENT_PROJECT, else {usual})")


def add_photographs(parser: argparse.ArgumentParser) -> None:
    """Add `--data` and `--positives-only`, which `photographs_of` reads."""
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="annotated photographs (docs/data.md); else 100 bundled faces",
    )
    parser.add_argument(
        "--positives-only",
        action="append",
        default=[],
        metavar="SET",
        help="take no background from this set of DIR",
    )


def photographs_of(args: argparse.Namespace) -> list[Photograph]:
    """Return the photographs that were named, or the bundled ones.

    Raises:
        SettingsError: see `read_folder`.
    """
    return read_folder(args.data, args.positives_only) if args.data else bundled_photographs()


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Add `--threads`, which `use_threads` obeys."""
    parser.add_argument("--threads", type=int, help="threads of torch (as many as there are cores)")


def use_threads(args: argparse.Namespace, default: int | None = None) -> None:
    """Let torch and OpenCV take so many threads as were asked for, else `default`, else what they like.

    Raises:
        SettingsError: fewer than one was asked for.
    """
    threads = default if args.threads is None else args.threads
    if threads is None:
        return
    if threads < 1:
        raise SettingsError(f"--threads must be at least 1, got {threads!r}")
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
