"""`deepevent jobs`: the queue, the agents and the recipes on offer; pause, drain, requeue."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from deepevent.cli._tables import clean, moment, span, table
from deepevent.errors import SettingsError
from deepevent.serverapi import ServerApi, connect

HELP = "show the queue of the training server; pause it, queue jobs again, drain agents"
STATES = ("queued", "claimed", "running", "completed", "failed", "stopped", "lost")


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument("job", type=int, nargs="?", metavar="ID", help="show this job with its attempts")
    what.add_argument("--agents", action="store_true", help="list agents")
    what.add_argument("--recipes", action="store_true", help="list recipes on offer")
    what.add_argument("--requeue", type=int, metavar="ID", help="queue an ended job again, in the same run")
    what.add_argument("--pause", action="store_true", help="let no job begin")
    what.add_argument("--resume", action="store_true", help="let jobs begin again")
    what.add_argument("--drain", metavar="AGENT", help="let this agent take no new jobs (its name or id)")
    what.add_argument("--undrain", metavar="AGENT", help="let it take jobs again")
    parser.add_argument(
        "--state", choices=STATES, action="append", default=[], help="only jobs in this state"
    )
    parser.add_argument("--limit", type=int, default=100, help="at most so many, the newest (default: 100)")
    parser.add_argument(
        "--server", metavar="URL", help="default: DEEPEVENT_URL, else the one of the local home"
    )
    parser.add_argument("--json", action="store_true", help="print what the server says")


def execute(arguments: argparse.Namespace) -> int:
    """Do it and print the answer."""
    answer = _ask(connect(arguments.server), arguments)
    print(json.dumps(answer) if arguments.json else _text(answer, time.time()))
    return 0


def _ask(api: ServerApi, arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.agents or arguments.recipes:
        return api.call("GET", "/agents" if arguments.agents else "/recipes")
    if arguments.pause or arguments.resume:
        return api.call("PUT", "/queue", {"paused": arguments.pause})
    if arguments.drain or arguments.undrain:
        agent = _agent_id(api, arguments.drain or arguments.undrain)
        return api.call("PATCH", f"/agents/{agent}", {"draining": bool(arguments.drain)})
    if arguments.requeue is not None:
        return api.call("POST", f"/jobs/{arguments.requeue}/requeue")
    if arguments.job is not None:
        return api.call("GET", f"/jobs/{arguments.job}")
    states = f"&state={','.join(arguments.state)}" if arguments.state else ""
    return api.call("GET", f"/jobs?limit={arguments.limit}{states}")


def _agent_id(api: ServerApi, words: str) -> str:
    """Find an agent by its id or, among those that have not left, by the name that people see.

    Raises:
        SettingsError: there is none, or several have this name.
    """
    agents = [agent for agent in api.call("GET", "/agents")["agents"] if not agent["left"]]
    found = [agent for agent in agents if agent["id"] == words] or [
        agent for agent in agents if agent["name"] == words and agent["alive"]
    ]
    if len(found) == 1:
        return str(found[0]["id"])
    known = ", ".join(f"{agent['name']} ({agent['id']})" for agent in found or agents) or "none"
    problem = "names several agents, give an id" if found else "is no agent's name or id"
    raise SettingsError(f"{words!r} {problem}: {known}")


def _text(answer: dict[str, Any], now: float) -> str:
    if "jobs" in answer:
        return ("The queue is paused.\n" if answer["paused"] else "") + _job_table(answer["jobs"], now)
    if "slots" in answer or "agents" in answer:
        return _agent_table([answer] if "slots" in answer else answer["agents"])
    if "recipes" in answer:
        rows = [
            [r["name"], ", ".join(r["agents"]) or "away", r["recipe"].get("help", "")]
            for r in answer["recipes"]
        ]
        return table(["recipe", "agents", ""], rows)
    if "paused" in answer:
        return f"The queue {'is paused' if answer['paused'] else 'goes on'}."
    attempts = [
        [str(a["attempt"]), a["state"], a["agent"], moment(a["claimed"]), a["reason"]]
        for a in answer.get("attempts", [])
    ]
    parts = [_job_table([answer], now), f"run {answer['run']}"]
    if answer["reason"]:
        parts.append(clean(answer["reason"]))
    if attempts:
        parts.append(table(["attempt", "state", "agent", "taken", "reason"], attempts))
    return "\n".join(parts)


def _job_table(jobs: list[dict[str, Any]], now: float) -> str:
    rows = []
    for job in jobs:
        waits = ", ".join(str(other["id"]) for other in job["after"] if other["state"] != "completed")
        note = job["reason"] or (f"after {waits}" if waits and job["state"] == "queued" else "")
        took = span((job["finished"] or now) - job["started"] if job["started"] else None)
        rows.append([str(job["id"]), job["state"], took, job["name"], job["agent"] or "", note])
    return table(["job", "state", "took", "name", "agent", ""], rows)


def _agent_table(agents: list[dict[str, Any]]) -> str:
    rows = [
        [
            agent["id"],
            "away" if not agent["alive"] else "draining" if agent["draining"] else "alive",
            str(agent["slots"]),
            str(agent["gpus"]),
            agent["name"],
        ]
        for agent in agents
    ]
    return table(["agent", "state", "slots", "GPUs", "name"], rows)
