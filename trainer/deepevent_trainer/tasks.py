"""From a job to a task: argument list, folder and environment.

The agent's own recipes count, not the server's word. Must not know HTTP, nor how a task is run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from deepevent.errors import JobRefused
from deepevent.recipes import Recipe, Resources, build_arguments, fill_places
from deepevent.settings import Settings
from deepevent.starting import OWNED
from deepevent_trainer.engines import Task
from deepevent_trainer.engines.local import MARK

# What a program needs to run at all. All else stays with the agent, unless the recipe names it.
INHERITED = (
    *("HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"),
    *("LD_LIBRARY_PATH", "VIRTUAL_ENV", "CONDA_PREFIX", "SSL_CERT_FILE", "SSL_CERT_DIR"),
)


def make_task(
    job: Mapping[str, Any],
    fence: int,
    recipes: Mapping[str, Recipe],
    settings: Settings,
    *,
    folder: Path,
    token: str,
    gpus: tuple[int, ...],
    allow_commands: bool,
    grace_s: float,
    silence_s: float,
    environment: Mapping[str, str] | None = None,
) -> Task:
    """Make what the engine runs.

    Args:
        job: as the server gave it.
        fence: of this attempt.
        recipes: this agent's own, by name.
        settings: of the agent: its home holds the spool.
        folder: the job's own, the same for all attempts, so that a checkpoint in it is found again.
        token: with which the job's script may log.
        gpus: for this job alone.
        allow_commands: whether free commands are run.
        grace_s: from the wish to stop to the kill.
        silence_s: how long the task outlives a silent agent.
        environment: the agent's own; `os.environ` if not given.

    Raises:
        JobRefused: this agent has no such recipe, or runs no free commands.
        ParametersInvalid: the parameters do not fit the recipe.
    """
    inherited = os.environ if environment is None else environment
    work = folder / "work"
    work.mkdir(mode=0o700, parents=True, exist_ok=True)
    records = folder / f"attempt-{fence}"
    variables = {name: inherited[name] for name in INHERITED if name in inherited}
    variables |= _own_variables(job, fence, settings, token, inherited)
    if job["recipe"] is None:
        command, place, resources = _free_command(job, work, allow_commands)
    else:
        recipe = recipes.get(job["recipe"])
        if recipe is None:
            raise JobRefused(f"this agent does not offer the recipe {job['recipe']!r}")
        places = {"python": sys.executable, "folder": recipe.folder, "work": str(work), "run": job["run"]}
        resumed = job["attempt"] > 1 and (recipe.checkpoint is None or (work / recipe.checkpoint).exists())
        command = build_arguments(recipe, job["parameters"], resumed=resumed, places=places)
        if recipe.processes > 1:
            command = [*_torchrun(recipe.processes), *command]
        place, resources = work, recipe.resources
        variables |= {name: inherited[name] for name in recipe.environment if name in inherited}
        names, values = [n for n, _ in recipe.variables], [v for _, v in recipe.variables]
        variables |= dict(zip(names, fill_places(values, places), strict=True))
    return Task(
        name=f"job {job['id']}",
        command=tuple(command),
        folder=place,
        records=records,
        environment=variables,
        cpus=resources.cpus,
        gpus=gpus,
        memory_mb=resources.memory_mb,
        time_limit_s=resources.time_limit_s,
        grace_s=grace_s,
        silence_s=silence_s,
    )


def _torchrun(processes: int) -> list[str]:
    """Return what starts so many processes of a command on this machine, with RANK and the like set."""
    if find_spec("torch") is None:
        raise JobRefused("a recipe with processes needs torch beside the agent: it brings torchrun")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--no-python"]
    return [*launcher, f"--nproc-per-node={processes}"]


def _free_command(job: Mapping[str, Any], work: Path, allowed: bool) -> tuple[list[str], Path, Resources]:
    if not allowed or not job["command"]:
        raise JobRefused("this agent runs recipes only: free commands need one started with --allow-commands")
    wanted = Path(job["folder"]) if job["folder"] else work
    return list(job["command"]), wanted if wanted.is_dir() else work, Resources()


def _own_variables(
    job: Mapping[str, Any], fence: int, settings: Settings, token: str, inherited: Mapping[str, str]
) -> dict[str, str]:
    """Give the job its run, its server and its mark; programs beside our own Python come first."""
    programs = str(Path(sys.executable).parent)
    variables = {
        "PATH": f"{programs}{os.pathsep}{inherited.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
        "DEEPEVENT_HOME": settings.home,
        "DEEPEVENT_RUN": job["run"],
        "DEEPEVENT_PROJECT": job["project"],
        "DEEPEVENT_JOB": str(job["id"]),
        OWNED: "1",
        MARK: f"{job['run']}-{fence}",
    }
    if settings.url:
        # A server of the local home is found there by the job itself, also after it was started anew
        # elsewhere.
        variables |= {"DEEPEVENT_URL": settings.url, "DEEPEVENT_TOKEN": token}
    return variables
