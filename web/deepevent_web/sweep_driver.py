"""The chore that drives sweeps: follows what trials log, prunes, and queues the next ones.

One round for each sweep of which something has changed. All that it knows is in the store, so it may be
killed at any moment, and it may run in several servers at once (`store/sweep_rounds.py`). What it keeps in
memory, positions in curves that still grow, is read again after a start.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from deepevent.errors import SweepNotFound
from deepevent.search_space import Space
from deepevent.store import sweep_rounds
from deepevent.store.sweep_rounds import Decision, Snapshot, Trial
from deepevent_web.optimiser import MISSING, Known, Optimiser, Search, installed
from deepevent_web.trial_values import TrialValues

if TYPE_CHECKING:
    from deepevent.store.connection import Database

MOST_NEW = 32
"""New trials of one round at most: ingest waits for the transaction, and the next round goes on."""

_log = logging.getLogger(__name__)


class SweepDriver:
    """See the module's description."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._revision = 0
        self._waiting: set[int] = set()
        self._values: dict[str, TrialValues] = {}
        self._complained = False

    def look(self) -> None:
        """Give a round to each sweep of which something has changed since the last look."""
        self._revision, ids = sweep_rounds.touched(self._db, self._revision)
        self._waiting |= set(ids)
        if self._waiting and not installed():
            if not self._complained:
                _log.warning("%d sweeps stand still: %s", len(self._waiting), MISSING)
                self._complained = True
            return
        for sweep_id in sorted(self._waiting):
            if self._round(sweep_id):
                self._waiting.discard(sweep_id)

    def _round(self, sweep_id: int) -> bool:
        """Decide and commit; False if the sweep was changed meanwhile and has to be read again."""
        try:
            snapshot = sweep_rounds.read(self._db, sweep_id)
        except SweepNotFound:
            return True
        decision = self._decide(snapshot)
        return decision.empty or sweep_rounds.commit(self._db, snapshot, decision)

    def _decide(self, snapshot: Snapshot) -> Decision:
        sweep, trials = snapshot.sweep, snapshot.trials
        changed = {trial.number for trial in trials if self._follow(trial, sweep)}
        decision = Decision()
        if sweep["state"] == "running":
            if sweep_rounds.failing(trials):
                decision.state = ("failed", f"its last {sweep_rounds.MAX_FAILURES} trials failed")
            else:
                changed |= self._search(snapshot, decision)
                if not decision.new and _is_over(snapshot):
                    decision.state = ("completed", "")
        decision.changed = [trial for trial in trials if trial.number in changed]
        return decision

    def _follow(self, trial: Trial, sweep: dict[str, Any]) -> bool:
        """Bring a trial up to its job and its metric; whether it changed."""
        changed = sweep_rounds.follow_job(trial, sweep["direction"])
        if trial.metric is not None and trial.metric[1] != trial.n_points:
            values = self._values.setdefault(trial.run, TrialValues())
            values.read(self._db, trial.run, sweep["metric"], trial.metric[0])
            trial.reports, trial.n_points = dict(values.reports), trial.metric[1]
            changed = True
        if not trial.is_open:
            self._values.pop(trial.run, None)
        return changed

    def _search(self, snapshot: Snapshot, decision: Decision) -> set[int]:
        """Prune trials and choose new ones; give the numbers of those that the pruner was shown."""
        sweep, trials = snapshot.sweep, snapshot.trials
        fresh = {t.number for t in trials if any(n > t.n_judged for n in t.reports)}
        if not fresh and not _room(snapshot):
            return fresh
        optimiser = Optimiser(
            search_of(sweep, snapshot.space), [known(t, fresh=t.number in fresh) for t in trials]
        )
        for trial in trials:
            if trial.number in fresh and _judge(optimiser, trial):
                why = f"pruned by sweep {sweep['id']} after value {trial.pruned_at}"
                decision.stops.append((trial.job, why))
        decision.new = [optimiser.suggest() for _ in range(_room(snapshot))]
        return fresh


def search_of(sweep: dict[str, Any], space: Space) -> Search:
    """Give a sweep's row as the optimiser sees it."""
    return Search(
        name=f"sweep-{sweep['id']}",
        space=space,
        **{key: sweep[key] for key in ("direction", "sampler", "pruner", "warmup", "seed", "n_trials")},
    )


def known(trial: Trial, *, fresh: bool = False) -> Known:
    """Give a trial as the optimiser sees it; `fresh`: with values still to be judged, so as one at work."""
    return Known(
        trial.parameters,
        "running" if fresh else _ended(trial),
        trial.value,
        trial.reports,
        trial.n_judged,
        trial.attributes,
    )


def _ended(trial: Trial) -> str:
    if trial.pruned_at is not None:
        return "pruned"
    return "running" if trial.is_open else trial.state


def _judge(optimiser: Optimiser, trial: Trial) -> bool:
    """Show a trial's new values to the pruner; whether it has to be stopped for them."""
    stop_at = optimiser.judge(trial.number)
    known = optimiser.trials[trial.number]
    trial.n_judged, trial.attributes = known.n_judged, known.attributes
    prune = stop_at is not None and trial.is_open and trial.pruned_at is None
    if prune:
        trial.pruned_at = stop_at
    if _ended(trial) != "running":
        optimiser.close(trial.number, _ended(trial))
    return prune


def _room(snapshot: Snapshot) -> int:
    """Count the trials that may begin now: one that is being stopped has still its place in the queue."""
    at_work = sum(trial.is_open for trial in snapshot.trials)
    sweep = snapshot.sweep
    room = min(sweep["concurrency"] - at_work, sweep["n_trials"] - len(snapshot.trials), MOST_NEW)
    return max(0, int(room))


def _is_over(snapshot: Snapshot) -> bool:
    enough = len(snapshot.trials) >= int(snapshot.sweep["n_trials"])
    return enough and not any(trial.is_open for trial in snapshot.trials)
