"""Several real processes claim from one store while some are killed: no job is lost, none goes twice."""

import random
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path

from deepevent.recipes import parse_recipe
from deepevent.store import jobs, leases
from deepevent.store.connection import Database
from deepevent.store.leases import Terms

N_JOBS = 60
N_WORKERS = 4
N_KILLS = 3
TERMS = Terms(lease_s=1.0, backoff_s=0.0)
RECIPE = parse_recipe("train", {"command": ["true"]})
WORKER = textwrap.dedent(
    """
    import os, sys
    from deepevent.errors import LeaseLost, StoreBusy
    from deepevent.recipes import parse_recipe
    from deepevent.store import agents, connection, leases
    url, name, log = sys.argv[1:]
    db = connection.open_database(url)
    out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    recipe = parse_recipe("train", {"command": ["true"]})
    agent = agents.register(db, name=name, slots=1, recipes=[recipe])["id"]
    terms = leases.Terms(lease_s=1.0, backoff_s=0.0)
    print("ready", flush=True)
    sys.stdin.readline()
    while True:
        try:
            claim = leases.claim(db, agent, leases.Free(), terms)
            if claim is None:
                continue
            job = claim.job["id"]
            os.write(out, f"began {job} {claim.fence}\\n".encode())
            leases.start(db, job, claim.fence, terms)
            leases.finish(db, job, claim.fence, "completed", terms=terms)
            os.write(out, f"ended {job} {claim.fence}\\n".encode())
        except (LeaseLost, StoreBusy):
            pass
    """
)


def start_worker(url: str, number: int, log: Path) -> "subprocess.Popen[str]":
    """Start a process that claims as soon as it is told to."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, url, f"worker {number}", str(log)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_processes_under_kills_take_every_job_once(db: Database, store_url: str, tmp_path: Path) -> None:
    """Every attempt is begun by one process alone, every job completes, and none begins again after that."""
    ids = [jobs.enqueue(db, recipe="train", max_retries=20)["id"] for _ in range(N_JOBS)]
    log = tmp_path / "log"
    log.touch()
    workers = [start_worker(store_url, number, log) for number in range(N_WORKERS)]
    spares = [start_worker(store_url, N_WORKERS + number, log) for number in range(N_KILLS)]
    for worker in workers:
        _go(worker)
    try:
        while len(jobs.list_jobs(db, states=["completed"], limit=N_JOBS).jobs) < N_JOBS:
            done = log.read_text().count("ended")
            if spares and done > N_JOBS * (N_KILLS - len(spares) + 1) / (N_KILLS + 2):
                victim = workers.pop(random.randrange(len(workers)))
                victim.kill()
                victim.communicate()
                workers.append(spares.pop())
                _go(workers[-1])
            leases.expire(db, TERMS)
    finally:
        for worker in workers + spares:
            worker.kill()
            worker.communicate()
    lines = [line.split() for line in log.read_text().splitlines()]
    began = Counter((int(job), int(fence)) for word, job, fence in lines if word == "began")
    assert max(began.values()) == 1
    assert {job for job, _ in began} == set(ids)
    for job_id in ids:
        attempts = jobs.get_job(db, job_id)["attempts"]
        assert [attempt["state"] for attempt in attempts].count("completed") == 1
        assert attempts[-1]["state"] == "completed"


def _go(worker: "subprocess.Popen[str]") -> None:
    assert worker.stdin is not None
    worker.stdin.write("go\n")
    worker.stdin.flush()
