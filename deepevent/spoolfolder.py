"""Tidying a writer's folder away when everything in it is acknowledged."""

# Plain os functions: pathlib would be a fifth of the start of `deepevent log`.
# ruff: noqa: PTH106, PTH108, PTH112, PTH118, PTH120, PTH208

from __future__ import annotations

import os

BLOBS_FOLDER = "blobs"


def remove_writer(folder: str) -> None:
    """Delete a writer's folder, and its run's if it was the last one.

    Only for the holder of its lock. A folder that still holds something that nobody knows, such as blobs that
    the server refused, stays with just that.
    """
    try:
        for name in sorted(os.listdir(folder), reverse=True):
            if name.endswith((".seg", ".tmp")) or name in ("acked", "lock"):
                os.unlink(os.path.join(folder, name))
        blobs = os.path.join(folder, BLOBS_FOLDER)
        if os.path.isdir(blobs):
            for name in os.listdir(blobs):
                os.unlink(os.path.join(blobs, name))
            os.rmdir(blobs)
        os.rmdir(folder)
        os.rmdir(os.path.dirname(folder))
    except OSError:  # not empty, or tidied by somebody else
        return
