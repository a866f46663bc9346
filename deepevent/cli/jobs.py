"""`deepevent jobs`: the queue, the agents and the recipes on offer; pause, drain, requeue."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

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
    what.add_argument("--drain", metavar="AGENT", help="let this agent take no new jobs (its id)")
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
    if arguments.json:
        print(json.dumps(answer))
    else:
        for line in _lines(answer, time.time()):
            print(line)
    return 0


def _ask(api: ServerApi, arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.agents or arguments.recipes:
        return api.call("GET", "/agents" if arguments.agents else "/recipes")
    if arguments.pause or arguments.resume:
        return api.call("PUT", "/queue", {"paused": arguments.pause})
    if arguments.drain or arguments.undrain:
        agent = arguments.drain or arguments.undrain
        return api.call("PATCH", f"/agents/{agent}", {"draining": bool(arguments.drain)})
    if arguments.requeue is not None:
        return api.call("POST", f"/jobs/{arguments.requeue}/requeue")
    if arguments.job is not None:
        return api.call("GET", f"/jobs/{arguments.job}")
    states = f"&state={','.join(arguments.state)}" if arguments.state else ""
    return api.call("GET", f"/jobs?limit={arguments.limit}{states}")


def _lines(answer: dict[str, Any], now: float) -> list[str]:
    if "jobs" in answer:
        head = ["the queue is paused"] if answer["paused"] else []
        return head + [_job_line(job, now) for job in answer["jobs"]]
    if "agents" in answer and "name" not in answer:
        return [_agent_line(agent) for agent in answer["agents"]]
    if "recipes" in answer and "slots" not in answer:
        return [f"{offer['name']:<24} {offer['recipe'].get('help', '')}" for offer in answer["recipes"]]
    if "slots" in answer:
        return [_agent_line(answer)]
    if "paused" in answer:
        return [f"the queue {'is paused' if answer['paused'] else 'goes on'}"]
    attempts = [
        f"  attempt {a['attempt']:<3} {a['state']:<10} {a['agent']:<20} {a['reason']}"
        for a in answer.get("attempts", [])
    ]
    return [_job_line(answer, now), f"  run {answer['run']}", *attempts]


def _job_line(job: dict[str, Any], now: float) -> str:
    seconds = (job["finished"] or now) - job["started"] if job["started"] else 0.0
    took = (
        f"{int(seconds) // 3600}:{int(seconds) // 60 % 60:02}:{int(seconds) % 60:02}"
        if job["started"]
        else ""
    )
    waits = ", ".join(str(other["id"]) for other in job["after"] if other["state"] != "completed")
    note = job["reason"] or (f"after {waits}" if waits and job["state"] == "queued" else "")
    line = f"{job['id']:>6}  {job['state']:<10} {took:>9}  {job['name']:<30} {job['agent'] or '':<16} {note}"
    return line.rstrip()


def _agent_line(agent: dict[str, Any]) -> str:
    state = "away" if not agent["alive"] else "draining" if agent["draining"] else "alive"
    return f"{agent['id']}  {state:<9} {agent['slots']:>3} slots  {agent['gpus']:>2} GPUs  {agent['name']}"
