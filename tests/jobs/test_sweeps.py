"""Sweeps on each database: who is tried, who is pruned, and that nothing is tried twice whoever drives."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from deepevent import wire
from deepevent.errors import SweepConflict, SweepNotFound
from deepevent.ids import new_id
from deepevent.recipes import parse_recipe
from deepevent.search_space import parse_text, read_space
from deepevent.store import agents, connection, deletion, ingest, jobs, leases, runs, sweep_rounds, sweeps
from deepevent.store.leases import Free, Terms
from deepevent_web.sweep_driver import SweepDriver

RECIPE = parse_recipe(
    "learn",
    {
        "command": ["learn"],
        "parameters": {
            "lr": {"type": "float", "min": 0, "max": 1},
            "batch": {"type": "choice", "choices": [32, 64], "default": 32},
            "epochs": {"type": "int", "default": 5},
        },
    },
)
SPACE = {"lr": "float:0.1:0.9", "batch": "choice:32,64"}
TERMS = Terms(lease_s=60.0, backoff_s=0.0)
# What Optuna decides does not depend on the database.
ON_SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


class World:
    """A store with an agent that runs jobs as the test says."""

    def __init__(self, db: connection.Database, committer: ingest.Committer) -> None:
        self.db = db
        self.agent = agents.register(db, name="desk", slots=64, cpus=64, recipes=[RECIPE])["id"]
        self.driver = SweepDriver(db)
        self.claims: dict[int, leases.Claim] = {}
        self._committer = committer
        self._writers: dict[str, tuple[str, int]] = {}

    def begin(self, space: dict[str, str] | None = None, **options: Any) -> int:
        """Begin a sweep; give its number."""
        texts = SPACE if space is None else space
        found = read_space(RECIPE, {name: parse_text(text) for name, text in texts.items()})
        plan = sweeps.Plan(RECIPE, {"epochs": 5}, found, "acc", "max", **options)
        return int(sweeps.create(self.db, plan, "ann")["id"])

    def take(self) -> list[dict[str, Any]]:
        """Drive, and let the agent take and start all jobs that wait."""
        self.driver.look()
        taken = []
        while (claim := leases.claim(self.db, self.agent, Free(cpus=64), TERMS)) is not None:
            leases.start(self.db, claim.job["id"], claim.fence, TERMS)
            self.claims[claim.job["id"]] = claim
            taken.append(claim.job)
        return taken

    def log(self, run: str, values: list[float], first_step: int = 0) -> None:
        """Log values of the metric as the job's script would."""
        writer, sequence = self._writers.get(run, (new_id(), 1))
        records = [] if sequence > 1 else [wire.build_shape(1, 0, ("acc",))]
        for step, value in enumerate(values, first_step):
            records.append(wire.build_points(sequence + len(records), 0, step, 1000.0 + step, [value]))
        self._committer.submit(wire.build_batch(run, writer, sequence, records, 0))
        self._writers[run] = (writer, sequence + len(records))

    def finish(self, job: int, state: str = "completed") -> None:
        """End a job as its agent would."""
        leases.finish(self.db, job, self.claims.pop(job).fence, state, terms=TERMS)

    def trials(self, sweep: int) -> list[dict[str, Any]]:
        """The sweep's trials after another look."""
        self.driver.look()
        return list(sweeps.get_sweep(self.db, sweep)["trials"])

    def state(self, sweep: int) -> str:
        """The sweep's state after another look."""
        self.driver.look()
        return str(sweeps.get_sweep(self.db, sweep)["state"])

    def run_all(self, sweep: int, value: Callable[[dict[str, Any]], float] = lambda p: p["lr"]) -> None:
        """Run jobs until none is left; each logs one value, made of its parameters."""
        while taken := self.take():
            for job in taken:
                self.log(job["run"], [value(job["parameters"])])
                self.finish(job["id"])
        assert self.state(sweep) != "running"


@pytest.fixture
def world(db: connection.Database) -> Iterator[World]:
    """A store with an agent."""
    committer = ingest.Committer(db)
    yield World(db, committer)
    committer.close()


def test_trials_are_jobs_and_never_more_at_once_than_allowed(world: World) -> None:
    """Each trial is a job with the shared and its own parameters, whose run is in the sweep's group."""
    sweep = world.begin(n_trials=5, concurrency=2, name="s")
    taken = world.take()
    assert [job["name"] for job in taken] == ["s 0", "s 1"]
    assert world.take() == []
    assert all(job["parameters"].keys() == {"lr", "batch", "epochs"} for job in taken)
    assert taken[0]["sweep"] == {"id": sweep, "trial": 0, "pruned": False}
    assert runs.get_run(world.db, taken[0]["run"])["group"] == f"sweep-{sweep}"
    world.log(taken[1]["run"], [0.1, 0.7, 0.4])
    world.finish(taken[1]["id"])
    assert [job["name"] for job in world.take()] == ["s 2"]
    done = world.trials(sweep)[1]
    assert (done["state"], done["value"], done["n_values"]) == ("completed", 0.7, 3)


@ON_SQLITE
@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_sweep_ends_with_its_best(world: World, sampler: str) -> None:
    """After its last trial it is completed, and names the trial with the best value."""
    sweep = world.begin(n_trials=12, concurrency=3, sampler=sampler, seed=7)
    world.run_all(sweep)
    found = sweeps.get_sweep(world.db, sweep)
    assert (found["state"], found["counts"]["completed"], len(found["trials"])) == ("completed", 12, 12)
    assert found["best"]["value"] == max(trial["value"] for trial in found["trials"])
    assert len({trial["parameters"]["lr"] for trial in found["trials"]}) == 12


@ON_SQLITE
def test_a_grid_is_tried_once_each_and_has_an_end(world: World) -> None:
    """Every combination exactly once, however many trials were asked for; then there is nothing to extend."""
    sweep = world.begin(
        {"lr": "float:0.1:0.4:0.1", "batch": "choice:32,64"}, n_trials=100, sampler="grid", concurrency=3
    )
    world.run_all(sweep)
    tried = [(round(t["parameters"]["lr"], 6), t["parameters"]["batch"]) for t in world.trials(sweep)]
    assert sorted(tried) == [(lr, batch) for lr in (0.1, 0.2, 0.3, 0.4) for batch in (32, 64)]
    with pytest.raises(SweepConflict, match="8 points"):
        sweeps.change_plan(world.db, sweep, "ann", n_trials=9)


def test_asha_stops_the_weak_through_should_stop(world: World) -> None:
    """The weaker of two is asked to stop, ends as pruned, and the next takes its place."""
    sweep = world.begin(n_trials=3, concurrency=2, pruner="asha")
    strong, weak = world.take()
    world.log(strong["run"], [0.9])
    world.driver.look()
    world.log(weak["run"], [0.2])
    world.driver.look()
    assert leases.heartbeat(world.db, weak["id"], world.claims[weak["id"]].fence, TERMS)
    assert not leases.heartbeat(world.db, strong["id"], world.claims[strong["id"]].fence, TERMS)
    assert [trial["stopping"] for trial in world.trials(sweep)] == [False, True]
    world.finish(weak["id"], "stopped")
    pruned = world.trials(sweep)[1]
    assert (pruned["state"], pruned["pruned_at"], pruned["value"]) == ("pruned", 1, 0.2)
    assert [job["name"] for job in world.take()] == ["learn 2"]


@ON_SQLITE
def test_what_is_pruned_does_not_depend_on_how_often_anybody_looks(world: World) -> None:
    """ASHA judges value after value: a trial that fell behind at the fourth is stopped for the fourth."""
    sweep = world.begin(n_trials=2, concurrency=2, pruner="asha")
    first, second = world.take()
    world.log(first["run"], [0.1, 0.2, 0.3, 0.8, 0.9])
    world.driver.look()
    world.log(second["run"], [0.2, 0.3, 0.4, 0.5, 0.95])
    assert [trial["stopping"] for trial in world.trials(sweep)] == [False, True]
    world.finish(second["id"], "stopped")
    assert world.trials(sweep)[1]["pruned_at"] == 4


@ON_SQLITE
def test_the_median_rule_stops_who_is_below_it(world: World) -> None:
    """Against two that completed, a third below their median is stopped, but only after the warm-up."""
    sweep = world.begin(n_trials=9, concurrency=1, pruner="median", warmup=2)
    for values in ([0.5, 0.6, 0.7], [0.6, 0.7, 0.8]):
        (job,) = world.take()
        world.log(job["run"], values)
        world.finish(job["id"])
    (job,) = world.take()
    world.log(job["run"], [0.1])
    assert not world.trials(sweep)[2]["stopping"]
    world.log(job["run"], [0.1], first_step=1)
    assert world.trials(sweep)[2]["stopping"]


@ON_SQLITE
def test_a_pruned_trial_that_is_queued_again_by_hand_is_left_alone(world: World) -> None:
    """Who requeues the job of a pruned trial wants it to run."""
    sweep = world.begin(n_trials=2, concurrency=2, pruner="asha")
    strong, weak = world.take()
    world.log(strong["run"], [0.9])
    world.driver.look()
    world.log(weak["run"], [0.2])
    world.driver.look()
    world.finish(weak["id"], "stopped")
    world.driver.look()
    jobs.requeue(world.db, weak["id"], "ann")
    world.take()
    world.log(weak["run"], [0.3, 0.4], first_step=1)
    trial = world.trials(sweep)[1]
    assert (trial["state"], trial["stopping"], trial["pruned_at"]) == ("running", False, None)


def test_points_that_come_after_the_end_still_count(world: World) -> None:
    """A value that was held up on its way belongs to its trial, even once the sweep is over."""
    sweep = world.begin(n_trials=1)
    (job,) = world.take()
    world.log(job["run"], [0.5])
    world.finish(job["id"])
    assert world.state(sweep) == "completed"
    world.log(job["run"], [0.8], first_step=1)
    assert world.trials(sweep)[0]["value"] == 0.8
    deletion.delete_run(world.db, job["run"])
    assert world.trials(sweep)[0]["value"] == 0.8


def test_a_sweep_whose_trials_all_fail_ends(world: World) -> None:
    """After five failures in a row it is failed, and says so; a value that never came is a failure too."""
    sweep = world.begin(n_trials=20, concurrency=2, max_retries=0)
    for state in ("failed", "completed", "failed"):
        for job in world.take():
            world.finish(job["id"], state)
    assert world.state(sweep) == "failed"
    found = sweeps.get_sweep(world.db, sweep)
    assert "5 trials failed" in found["reason"]
    assert found["counts"]["failed"] == 6
    assert "without a value" in found["trials"][2]["reason"]


def test_stop_extend_and_a_trial_of_ones_own(world: World) -> None:
    """A stopped sweep begins nothing, an extension lets it go on, and a person's trial is queued at once."""
    sweep = world.begin(n_trials=4, concurrency=1)
    (job,) = world.take()
    assert sweeps.stop(world.db, sweep, "ann")["state"] == "stopped"
    world.finish(job["id"], "stopped")
    assert world.take() == []
    assert [trial["state"] for trial in world.trials(sweep)] == ["stopped"]
    added = sweeps.add_trial(world.db, sweep, {"lr": 0.25, "batch": 64}, "ann")
    assert (added["number"], added["source"]) == (1, "person")
    (mine,) = world.take()
    assert mine["parameters"] == {"lr": 0.25, "batch": 64, "epochs": 5}
    with pytest.raises(SweepConflict, match="2 trials already"):
        sweeps.change_plan(world.db, sweep, "ann", n_trials=1)
    sweeps.change_plan(world.db, sweep, "ann", n_trials=4, concurrency=3)
    assert len(world.take()) == 2
    for name in ("stop", "get_sweep"):
        with pytest.raises(SweepNotFound):
            getattr(sweeps, name)(world.db, 99, *(["ann"] if name == "stop" else []))


def test_a_decision_on_an_old_state_is_not_committed(world: World) -> None:
    """Whoever stops a sweep between a driver's look and its commit has the last word."""
    sweep = world.begin(n_trials=4)
    snapshot = sweep_rounds.read(world.db, sweep)
    sweeps.stop(world.db, sweep, "ann")
    decision = sweep_rounds.Decision(new=[({"lr": 0.5, "batch": 32}, {})])
    assert not sweep_rounds.commit(world.db, snapshot, decision)
    assert world.trials(sweep) == []
    assert jobs.list_jobs(world.db).jobs == []


def test_any_number_of_servers_drive_one_sweep_once(world: World, store_url: str) -> None:
    """Three drivers at once, new ones after each look, try what one would have tried, each number once."""
    one = world.begin(n_trials=8, concurrency=4, sampler="random", seed=3)
    world.run_all(one)
    expected = [trial["parameters"] for trial in world.trials(one)]
    many = world.begin(n_trials=8, concurrency=4, sampler="random", seed=3)
    over = threading.Event()
    failures: list[Exception] = []

    def drive() -> None:
        db = connection.open_database(store_url)
        try:
            while not over.is_set():
                SweepDriver(db).look()  # as after a kill: it remembers nothing
        except Exception as error:  # noqa: BLE001 - told by the test itself
            failures.append(error)
        finally:
            db.close()

    drivers = [threading.Thread(target=drive) for _ in range(3)]
    for driver in drivers:
        driver.start()
    try:
        # Seeds make equal choices of equal numbers; the study's name is no part of them.
        while sweeps.get_sweep(world.db, many)["state"] == "running" and not failures:
            claim = leases.claim(world.db, world.agent, Free(cpus=64), TERMS)
            if claim is None:
                world.db.commits.wait(world.db.revision(), 0.2)
                continue
            leases.start(world.db, claim.job["id"], claim.fence, TERMS)
            world.claims[claim.job["id"]] = claim
            world.log(claim.job["run"], [claim.job["parameters"]["lr"]])
            world.finish(claim.job["id"])
    finally:
        over.set()
        for driver in drivers:
            driver.join()
    assert failures == []
    found = sweeps.get_sweep(world.db, many)["trials"]
    assert [trial["parameters"] for trial in found] == expected
    assert len({trial["job"] for trial in found}) == 8
