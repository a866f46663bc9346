"""`deepevent.start`: decides which run this process means, and opens it."""

# Plain os functions: pathlib would be a fifth of the start of `deepevent log`.

from __future__ import annotations

import os
import sys
import time

from deepevent.endpoint import Endpoint
from deepevent.ids import new_id
from deepevent.jsontext import plain, plain_key
from deepevent.labels import NOTES_LIMIT, clean_label, clean_tags, fitting
from deepevent.liveruns import live_runs, remember_run
from deepevent.notices import say, say_once
from deepevent.run import Run, set_tags
from deepevent.runids import find_run_id, shared_run_id
from deepevent.segment import SEGMENT_SIZE
from deepevent.settings import Settings
from deepevent.wire import is_ulid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

OWNED = "DEEPEVENT_RUN_OWNED"  # set by `deepevent run`: the end of the run is told by it alone
ADJECTIVES = "amber bold brave brisk calm clear cool crisp eager early fair fast fine fresh gentle glad keen kind light lively lucid mellow neat noble proud quick quiet sharp smooth sunny swift warm"  # noqa: E501
NOUNS = "badger birch brook cedar cloud comet crane delta dune ember falcon fern finch forest fox grove harbor hawk heron island lark lynx maple meadow otter pine raven reef river robin tide willow"  # noqa: E501


def start(
    name: str | None = None,
    project: str | None = None,
    config: Mapping[str, object] | None = None,
    tags: Iterable[str] = (),
    notes: str = "",
    group: str | None = None,
    url: str | None = None,
    resume: str | None = None,
    rank: int | None = None,
    capture_output: bool = False,
) -> Run:
    """Start a run, or go on with one, and make it the process's current run.

    Args:
        name: what people call it; without one, two words are made up.
        project: where it belongs; "default" unless DEEPEVENT_PROJECT says otherwise.
        config: the run's parameters; nested dicts, arrays, paths and dataclasses become plain values.
        tags: labels to find it by.
        notes: free text.
        group: runs of one experiment share it, such as the seeds of one setting.
        url: the server; else DEEPEVENT_URL, else the one of the local home.
        resume: id of a run to append to.
        rank: else RANK: each rank is a writer of its own of the same run.
        capture_output: log what this process prints, too; `deepevent run` does so for any program.

    Raises:
        SettingsError: a setting cannot be used; all problems at once.
        ValueError: `resume` is no run id.
    """
    settings = Settings({"url": url, "rank": rank, "project": project})
    run = begin(settings, name, project, config, tags, notes, group, resume)
    if capture_output:
        run.capture_output()
    return run


def begin(
    settings: Settings,
    name: str | None = None,
    project: str | None = None,
    config: Mapping[str, object] | None = None,
    tags: Iterable[str] = (),
    notes: str = "",
    group: str | None = None,
    resume: str | None = None,
    command: Sequence[str] | None = None,
) -> Run:
    """Do what `start` does, under settings that are read already.

    `command` is the program that is the run, where that is not this process.
    """
    if resume is not None and not is_ulid(str(resume).lower()):
        raise ValueError(f"resume takes a run's id, 26 characters, got {resume!r}")
    run_id, joined = _choose_run(settings, resume)
    if joined and resume is None:
        for run in live_runs:  # a second start in a script that was told its run
            if run.id == run_id:
                return run
    if name is None and not joined:
        name = made_up_name(run_id)
    finishes = settings.rank == 0 and (resume is not None or OWNED not in os.environ)
    event = run_event(
        name=name,
        project=None if joined and project is None else settings.project,
        config=config,
        tags=tags,
        notes=notes,
        group=group,
        rank=settings.rank,
        resumed=resume is not None or joined,
        finishes=finishes,
        command=command,
    )
    run = open_run(settings, run_id, event)
    remember_run(run)
    # A process that `deepevent run` or an agent started knows best what it runs on.
    fills = command is not None or (resume is None and joined and OWNED not in os.environ)
    run.observe(captures=settings.rank == 0, samples=os.environ.get("LOCAL_RANK", "0") == "0", fills=fills)
    if not joined and settings.mode == "online":
        say(f"run {run.name} {run.url or 'waits in ' + settings.home + ' for deepevent serve'}")
    return run


def join(run_id: str, name: str | None, project: str | None, flags: Mapping[str, Any]) -> Run:
    """Become another writer of a run that another process started."""
    settings = Settings(flags)
    event = run_event(name=name, project=project, rank=settings.rank, resumed=True, finishes=False)
    run = open_run(settings, run_id, event)
    remember_run(run)
    return run


def open_run(
    settings: Settings,
    run_id: str,
    event: Mapping[str, object],
    *,
    in_background: bool = True,
    segment_size: int = SEGMENT_SIZE,
) -> Run:
    """Open a writer of a run with its first event."""
    endpoint = Endpoint(settings.home, settings.url, settings.token) if settings.mode == "online" else None
    run = Run(
        settings,
        run_id,
        name=event["name"],  # type: ignore[arg-type]
        project=event["project"],  # type: ignore[arg-type]
        first_event=event,
        finishes=event["finishes"] is True,
        endpoint=endpoint,
        in_background=in_background,
        segment_size=segment_size,
    )
    run.config.fill(event["config"])  # type: ignore[arg-type]
    set_tags(run, event["tags"])  # type: ignore[arg-type]
    return run


def run_event(
    *,
    name: str | None,
    project: str | None,
    rank: int,
    resumed: bool,
    finishes: bool,
    config: Mapping[str, object] | None = None,
    tags: Iterable[str] = (),
    notes: str = "",
    group: str | None = None,
    command: Sequence[str] | None = None,
) -> dict[str, object]:
    """Make the first event of a writer; `name` and `project` are None where this process does not know.

    `finishes` says whether the end of this process is the end of the run; one that only drops in a value must
    not open a run again that has ended.
    """
    return {
        "type": "run",
        "name": None if name is None else clean_label(name),
        "project": None if project is None else clean_label(project),
        "config": fitting(
            {plain_key(key): plain(value) for key, value in dict(config or {}).items()}, "config"
        ),
        "tags": clean_tags([tags] if isinstance(tags, str) else tags),
        "notes": str(notes)[:NOTES_LIMIT],
        "group": None if group is None else clean_label(group),
        "created": time.time(),
        "rank": rank,
        "host": os.uname().nodename,
        "pid": os.getpid(),
        "argv": [str(word)[:1000] for word in (sys.argv if command is None else command)[:100]],
        "python": ".".join(map(str, sys.version_info[:3])),
        "resumed": resumed,
        "finishes": finishes,
    }


def made_up_name(run_id: str) -> str:
    """Two words and three characters out of the id."""
    chance = sum(ord(character) << index for index, character in enumerate(run_id[10:]))
    adjectives, nouns = ADJECTIVES.split(), NOUNS.split()
    adjective = adjectives[chance % len(adjectives)]
    noun = nouns[chance // len(adjectives) % len(nouns)]
    return f"{adjective}-{noun}-{run_id[-3:]}"


def _choose_run(settings: Settings, resume: str | None) -> tuple[str, bool]:
    """Return the id of the run, and whether somebody else started it or may have."""
    if resume is not None:
        return str(resume).lower(), True
    if settings.run:
        run_id, is_new = find_run_id(settings.home, settings.project, settings.run)
        return run_id, not is_new
    shared = shared_run_id(os.environ)
    if shared is not None:
        return shared, settings.rank != 0
    if settings.rank != 0:
        say_once(
            "ranks", "each rank logs a run of its own: give all of them the same DEEPEVENT_RUN to join them"
        )
    return new_id(), False
