"""Programs that train several nets as a job: each net is a run of its own, not a part of the job's run.

The job's run keeps what the program prints. Knows the environment only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from deepevent.starting import OWNED

_JOINING = ("DEEPEVENT_RUN", OWNED)


@contextmanager
def runs_of_their_own() -> Iterator[None]:
    """Let every `deepevent.start` of the block make a run, whatever run this process was told to join."""
    told = {name: os.environ.pop(name) for name in _JOINING if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(told)
