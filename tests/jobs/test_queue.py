"""The contract of the queue, on SQLite and PostgreSQL alike."""

import threading
from typing import Any

import pytest

from deepevent.errors import AgentNotFound, JobConflict, JobNotFound, LeaseLost
from deepevent.recipes import Resources, parse_recipe
from deepevent.store import agents, audit, jobs, leases, runs
from deepevent.store.connection import Database
from deepevent.store.leases import Free, Terms

RECIPE = parse_recipe("train", {"command": ["python", "train.py"], "parameters": {"lr": {"type": "float"}}})
FREE = Free(cpus=4, gpus=1, memory_mb=8_000)
QUICK = Terms(lease_s=0.0, backoff_s=0.0)
"""A lease that is over as soon as it is given, and no pause before a retry."""


def register(db: Database, name: str = "box", **more: Any) -> str:
    return str(agents.register(db, name=name, slots=2, recipes=[RECIPE], **more)["id"])


def take(db: Database, agent: str, terms: Terms = leases.TERMS) -> leases.Claim:
    claim = leases.claim(db, agent, FREE, terms)
    assert claim is not None
    if terms is QUICK:
        leases.start(db, claim.job["id"], claim.fence, terms)
    return claim


def test_job_goes_from_queue_to_completed(db: Database) -> None:
    """A job is claimed, started and finished, and every step is visible, with its attempt and its agent."""
    agent = register(db)
    job = jobs.enqueue(db, recipe="train", parameters={"lr": 0.1}, name="first", created_by="ann")
    assert (job["state"], job["attempt"], job["parameters"]) == ("queued", 0, {"lr": 0.1})
    claim = take(db, agent)
    assert (claim.job["id"], claim.job["state"], claim.job["agent"]) == (job["id"], "claimed", "box")
    assert leases.start(db, job["id"], claim.fence) is False
    assert jobs.get_job(db, job["id"])["state"] == "running"
    assert leases.heartbeat(db, job["id"], claim.fence) is False
    leases.finish(db, job["id"], claim.fence, "completed", exit_code=0)
    done = jobs.get_job(db, job["id"])
    assert (done["state"], done["exit_code"], done["run"]) == ("completed", 0, job["run"])
    assert [(a["attempt"], a["state"], a["agent"]) for a in done["attempts"]] == [(1, "completed", "box")]
    assert [e["action"] for e in audit.list_entries(db, job["id"])][-1] == "submit"
    assert leases.claim(db, agent, FREE) is None


def test_priority_then_age_decides(db: Database) -> None:
    """Higher priority goes first; among equals the older job."""
    agent = register(db)
    ids = [jobs.enqueue(db, recipe="train", priority=p)["id"] for p in (0, 5, 0, 5)]
    jobs.set_priority(db, ids[2], 9, "ann")
    order = [take(db, agent).job["id"] for _ in ids]
    assert order == [ids[2], ids[1], ids[3], ids[0]]


def test_dependent_job_waits_until_the_other_completed(db: Database) -> None:
    """`after` holds a job back until all of them have completed; a failure keeps it back."""
    agent = register(db)
    first = jobs.enqueue(db, recipe="train")["id"]
    second = jobs.enqueue(db, recipe="train", priority=9, after=[first])
    assert second["after"] == [{"id": first, "state": "queued"}]
    claim = take(db, agent)
    assert claim.job["id"] == first
    leases.finish(db, first, claim.fence, "failed", exit_code=1)
    assert leases.claim(db, agent, FREE) is None
    jobs.requeue(db, first, "ann")
    claim = take(db, agent)
    leases.finish(db, first, claim.fence, "completed")
    assert take(db, agent).job["id"] == second["id"]
    with pytest.raises(JobNotFound, match="999"):
        jobs.enqueue(db, recipe="train", after=[999])


def test_agent_gets_only_what_it_can_run(db: Database) -> None:
    """Recipes, free commands, GPUs, CPUs and memory are all matched."""
    plain = register(db)
    commands = register(db, "shell", allow_commands=True)
    jobs.enqueue(db, command=["echo", "; rm -rf ~"])
    assert leases.claim(db, plain, FREE) is None
    assert take(db, commands).job["command"] == ["echo", "; rm -rf ~"]
    jobs.enqueue(db, recipe="unknown")
    for resources in (Resources(gpus=2), Resources(cpus=5), Resources(memory_mb=9_000)):
        jobs.enqueue(db, recipe="train", resources=resources)
    assert leases.claim(db, plain, FREE) is None
    assert leases.claim(db, plain, Free(cpus=5, gpus=2, memory_mb=9_000)) is not None
    with pytest.raises(AgentNotFound):
        leases.claim(db, "0" * 26, FREE)


def test_paused_queue_and_draining_agent_take_nothing(db: Database) -> None:
    """Pausing holds back all jobs, draining one agent's; both can be undone."""
    agent = register(db)
    jobs.enqueue(db, recipe="train")
    jobs.set_paused(db, True, "ann")
    assert jobs.list_jobs(db).paused
    assert leases.claim(db, agent, FREE) is None
    jobs.set_paused(db, False, "ann")
    agents.set_draining(db, agent, True, "ann")
    assert leases.claim(db, agent, FREE) is None
    agents.set_draining(db, agent, False, "ann")
    assert take(db, agent).job["state"] == "claimed"


def test_lease_that_ran_out_makes_a_job_lost(db: Database) -> None:
    """Without retries a job whose agent fell silent is lost, and stays so until a person acts."""
    agent = register(db)
    job = jobs.enqueue(db, recipe="train")["id"]
    assert leases.expire(db) == []
    take(db, agent, QUICK)
    assert leases.expire(db) == [job]
    assert jobs.get_job(db, job)["state"] == "lost"
    assert leases.expire(db) == []
    assert leases.claim(db, agent, FREE) is None


def test_lost_job_is_queued_again_while_retries_are_left(db: Database) -> None:
    """Retries are used up one by one, in the same run, and the last loss is final."""
    agent = register(db)
    job = jobs.enqueue(db, recipe="train", max_retries=1)
    first = take(db, agent, QUICK)
    assert leases.expire(db, QUICK) == [job["id"]]
    assert jobs.get_job(db, job["id"])["state"] == "queued"
    second = take(db, agent, QUICK)
    assert second.fence > first.fence
    assert (second.job["run"], second.job["attempt"]) == (job["run"], 2)
    leases.expire(db, QUICK)
    done = jobs.get_job(db, job["id"])
    assert (done["state"], [a["state"] for a in done["attempts"]]) == ("lost", ["lost", "lost"])


def test_claim_that_never_started_costs_no_retry(db: Database) -> None:
    """An agent that dies between claim and start gives the job back to the queue: nothing has run."""
    agent = register(db)
    job = jobs.enqueue(db, recipe="train")["id"]
    assert leases.claim(db, agent, FREE, QUICK) is not None
    leases.expire(db, QUICK)
    assert jobs.get_job(db, job)["state"] == "queued"
    assert take(db, agent).job["attempt"] == 2


def test_retry_waits_longer_each_time(db: Database) -> None:
    """A failed job is not taken again before its pause is over, and the pause doubles."""
    agent = register(db)
    job = jobs.enqueue(db, recipe="train", max_retries=3)["id"]
    pauses = []
    for _ in range(2):
        claim = take(db, agent)
        failed = leases.finish(db, job, claim.fence, "failed", exit_code=1, terms=Terms(backoff_s=1_000.0))
        pauses.append(failed["not_before"] - jobs.get_job(db, job)["attempts"][-1]["finished"])
        assert leases.claim(db, agent, FREE) is None
        with db.write() as connection:
            jobs.change(connection, job, not_before=0.0)
    assert pauses == pytest.approx([600.0, 600.0])  # both are above the longest pause
    claim = take(db, agent)
    again = leases.finish(db, job, claim.fence, "failed", terms=Terms(backoff_s=1.0))
    attempt = jobs.get_job(db, job)["attempts"][-1]
    assert again["not_before"] - attempt["finished"] == pytest.approx(4.0)


def test_old_fence_is_refused(db: Database) -> None:
    """Nothing that an older attempt says about a job is taken once another attempt has it."""
    agent, other = register(db), register(db, "other")
    job = jobs.enqueue(db, recipe="train", max_retries=1)["id"]
    old = take(db, agent, QUICK).fence
    leases.expire(db, QUICK)
    new = take(db, other).fence
    for attempt in (
        lambda: leases.heartbeat(db, job, old),
        lambda: leases.start(db, job, old),
        lambda: leases.finish(db, job, old, "completed"),
        lambda: leases.heartbeat(db, job, 0),
        lambda: leases.heartbeat(db, job + 1, new),
    ):
        with pytest.raises(LeaseLost):
            attempt()
    assert jobs.get_job(db, job)["state"] == "claimed"
    leases.finish(db, job, new, "completed")


def test_agent_that_comes_back_in_time_keeps_its_job(db: Database) -> None:
    """A lost job that nobody else has taken goes back to its attempt: by a heartbeat or by its result."""
    agent = register(db)
    job = jobs.enqueue(db, recipe="train")["id"]
    fence = take(db, agent, QUICK).fence
    leases.expire(db)
    assert leases.heartbeat(db, job, fence, QUICK) is False
    assert jobs.get_job(db, job)["state"] == "running"
    leases.expire(db)
    leases.finish(db, job, fence, "completed", exit_code=0)
    assert jobs.get_job(db, job)["state"] == "completed"


def test_result_told_twice_counts_once(db: Database) -> None:
    """An answer that got lost is asked for again: the second telling changes nothing."""
    agent = register(db)
    job = jobs.enqueue(db, recipe="train", max_retries=2)["id"]
    fence = take(db, agent).fence
    first = leases.finish(db, job, fence, "failed", exit_code=1, terms=QUICK)
    again = leases.finish(db, job, fence, "failed", exit_code=1, terms=QUICK)
    assert first["retries_left"] == again["retries_left"] == 1
    with pytest.raises(LeaseLost):
        leases.heartbeat(db, job, fence)


def test_stop_of_a_waiting_job_is_at_once(db: Database) -> None:
    """A queued job is stopped there and then; twice is once."""
    agent = register(db)
    job = jobs.enqueue(db, recipe="train")["id"]
    assert jobs.request_stop(db, job, "ann")["state"] == "stopped"
    assert jobs.request_stop(db, job, "ann")["state"] == "stopped"
    assert leases.claim(db, agent, FREE) is None


@pytest.mark.parametrize("end", [("failed", -9), ("completed", 0), ("lost", None)])
def test_stop_of_a_running_job_reaches_its_agent(db: Database, end: tuple[str, int | None]) -> None:
    """The heartbeat carries the wish; the job counts as stopped however its process ended, and so its run."""
    agent = register(db)
    job = jobs.enqueue(db, recipe="train", max_retries=3)["id"]
    behind = jobs.enqueue(db, recipe="train", after=[job])["id"]
    fence = take(db, agent).fence
    leases.start(db, job, fence)
    assert jobs.request_stop(db, job, "ann")["state"] == "running"
    assert leases.heartbeat(db, job, fence) is True
    state, exit_code = end
    leases.finish(db, job, fence, state, exit_code=exit_code)
    told = jobs.get_job(db, job)
    assert told["state"] == "stopped"
    assert runs.get_run(db, told["run"])["status"] == "stopped"
    assert leases.claim(db, agent, FREE) is None
    assert jobs.get_job(db, behind)["state"] == "queued"


def test_stop_of_a_run_stops_the_job_that_it_belongs_to(db: Database) -> None:
    """What is stopped by its run is not taken for completed; an agent that is gone leaves both stopped."""
    agent = register(db)
    job = jobs.enqueue(db, recipe="train", max_retries=3)
    fence = take(db, agent, QUICK).fence
    jobs.request_stop_of_run(db, job["run"], "ann")
    assert leases.heartbeat(db, job["id"], fence, QUICK) is True
    assert leases.expire(db) == [job["id"]]
    assert jobs.get_job(db, job["id"])["state"] == "stopped"
    assert runs.get_run(db, job["run"])["status"] == "stopped"
    jobs.request_stop_of_run(db, "0" * 26, "ann")


def test_requeue_by_hand_starts_afresh_in_the_same_run(db: Database) -> None:
    """It takes back a wish to stop, gives all retries again, and shuts the old attempt out."""
    agent = register(db)
    job = jobs.enqueue(db, recipe="train", max_retries=1)
    fence = take(db, agent, QUICK).fence
    with pytest.raises(JobConflict, match="running"):
        jobs.requeue(db, job["id"], "ann")
    jobs.request_stop(db, job["id"], "ann")
    leases.expire(db)
    assert jobs.get_job(db, job["id"])["state"] == "stopped"
    again = jobs.requeue(db, job["id"], "ann")
    assert (again["state"], again["stop_requested"], again["run"]) == ("queued", False, job["run"])
    with pytest.raises(LeaseLost):
        leases.heartbeat(db, job["id"], fence)
    assert take(db, agent).job["attempt"] == 2


def test_server_that_was_away_gives_leases_their_time(db: Database) -> None:
    """A restart of the server loses no job: leases begin anew."""
    agent = register(db)
    jobs.enqueue(db, recipe="train")
    take(db, agent, QUICK)
    leases.renew_all(db)
    assert leases.expire(db) == []


def test_restarted_agent_gives_its_jobs_back_at_once(db: Database) -> None:
    """What an agent held that is known to be gone does not wait for the end of the lease."""
    agent = register(db)
    job = jobs.enqueue(db, recipe="train", max_retries=1)["id"]
    take(db, agent)
    assert leases.release_agent(db, agent, "its agent has started anew", QUICK) == [job]
    assert take(db, agent).job["attempt"] == 2


def test_changes_have_revisions(db: Database) -> None:
    """What a page has to fetch after a revision is exactly what has changed; a heartbeat is no change."""
    agent = register(db)
    first = jobs.enqueue(db, recipe="train")["id"]
    jobs.enqueue(db, recipe="train")
    seen = jobs.list_jobs(db).revision
    claim = take(db, agent)
    page = jobs.list_jobs(db, changed_after=seen)
    assert [job["id"] for job in page.jobs] == [first]
    assert page.revision > seen
    leases.start(db, first, claim.fence)
    seen = jobs.list_jobs(db).revision
    leases.heartbeat(db, first, claim.fence)
    assert jobs.list_jobs(db, changed_after=seen).jobs == []


def test_list_is_paged_and_filtered(db: Database) -> None:
    """Pages follow each other without gap; states select."""
    ids = [jobs.enqueue(db, recipe="train")["id"] for _ in range(5)]
    jobs.request_stop(db, ids[0], "ann")
    page = jobs.list_jobs(db, limit=3)
    rest = jobs.list_jobs(db, limit=3, before=page.next)
    assert [job["id"] for job in page.jobs + rest.jobs] == ids[::-1]
    assert rest.next is None
    assert [job["id"] for job in jobs.list_jobs(db, states=["stopped"]).jobs] == [ids[0]]


def test_recipes_of_agents_are_on_offer(db: Database) -> None:
    """The page finds each recipe once, with who offers it; those of a machine that is off stay known."""
    agent = register(db)
    register(db, "other")
    (offer,) = agents.list_recipes(db)
    assert (offer["name"], offer["agents"], offer["alive"]) == ("train", ["box", "other"], True)
    assert offer["recipe"]["parameters"] == {"lr": {"type": "float", "option": "--lr"}}
    agents.leave(db, agent)
    assert [(a["name"], a["alive"]) for a in agents.list_agents(db)] == [("other", True), ("box", False)]
    assert agents.find_recipe(db, "train") is not None
    assert agents.find_recipe(db, "nope") is None


def test_many_threads_never_share_a_job(db: Database) -> None:
    """Eight agents that claim at once get every job exactly once."""
    ids = [jobs.enqueue(db, recipe="train")["id"] for _ in range(40)]
    taken: list[int] = []

    def work(agent: str) -> None:
        while claim := leases.claim(db, agent, FREE):
            taken.append(claim.job["id"])
            leases.finish(db, claim.job["id"], claim.fence, "completed")

    threads = [threading.Thread(target=work, args=(register(db, f"agent {n}"),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == ids
