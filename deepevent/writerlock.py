"""A writer's folder and the lock that says who writes there: a lock that can be taken means abandoned."""

# Plain os functions: pathlib would be a fifth of the start of `deepevent log`.
# ruff: noqa: PTH103, PTH104, PTH108, PTH118

from __future__ import annotations

import fcntl
import os

from deepevent.errors import JournalError
from deepevent.notices import say_once

LOCK_NAME = "lock"
FOLDER_ATTEMPTS = 5


def take_lock(folder: str) -> int:
    """Create the folder, locked from the first moment that others can see it.

    Returns:
        The descriptor that holds the lock.

    Raises:
        OSError: it cannot be created.
        JournalError: it exists and another process writes there.
    """
    parent, name = os.path.split(folder)
    made = os.path.join(parent, f".{name}.new")
    for attempt in range(FOLDER_ATTEMPTS):
        os.makedirs(parent, mode=0o700, exist_ok=True)
        os.makedirs(made, mode=0o700, exist_ok=True)
        path = os.path.join(made, LOCK_NAME)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                os.close(descriptor)
                raise JournalError(f"{folder} is being written by another process") from error
            except OSError:  # a file system without locks
                say_once(
                    "flock", f"{parent} knows no file locks: what a killed script leaves there stays there"
                )
            os.rename(made, folder)
            return descriptor
        except FileNotFoundError:  # somebody tidied the run's empty folder away in between
            if attempt == FOLDER_ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def unlink_if_there(path: str) -> None:
    """Delete a file that may be gone already."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
