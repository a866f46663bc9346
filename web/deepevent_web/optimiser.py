"""What Optuna decides: the next parameters, whom to prune, which parameter matters. Nobody else knows Optuna.

Its study is made anew for each round out of the rows of the store and thrown away afterwards: its storage is
ours (docs/decisions/0030-sweeps-in-our-own-tables.md). So its samplers and pruners decide by committed rows
alone, and the same rows give the same decision. Imported when the first sweep needs it; knows neither store
nor HTTP.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deepevent.search_space import Dimension

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

MISSING = "sweeps need Optuna, which the server does not have: pip install 'deepevent-monitor[sweep]'"
SEED_STRIDE = 1_000_003
FEWEST_TO_WEIGH = 4
"""Trials with a value below which nothing is said of importance."""


@dataclass
class Known:
    """A trial as the optimiser sees it.

    Attributes:
        state: running, completed, pruned or failed.
        value: its objective, if it completed.
        reports: the metric's n-th value by n; up to `n_judged` the pruner has seen them.
        attributes: what sampler and pruner remembered of it.
    """

    parameters: dict[str, Any]
    state: str
    value: float | None = None
    reports: dict[int, float] = field(default_factory=dict)
    n_judged: int = 0
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Search:
    """A sweep as the optimiser sees it."""

    name: str
    space: Mapping[str, Dimension]
    direction: str
    sampler: str
    pruner: str
    warmup: int
    seed: int
    n_trials: int


def installed() -> bool:
    """Whether Optuna is there, without loading it."""
    return importlib.util.find_spec("optuna") is not None


class Optimiser:
    """A study of Optuna with all trials of a sweep in it.

    Raises:
        ModuleNotFoundError: Optuna is not installed.
    """

    def __init__(self, search: Search, trials: Sequence[Known]) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._search = search
        self._distributions = {name: _distribution(d) for name, d in search.space.items()}
        self._study = optuna.create_study(
            storage=optuna.storages.InMemoryStorage(),
            direction="maximize" if search.direction == "max" else "minimize",
            study_name=search.name,
            sampler=self._sampler(len(trials)),
            pruner=self._pruner(),
        )
        self.trials = list(trials)
        for trial in trials:
            self._study.add_trial(self._freeze(trial))

    def judge(self, index: int) -> int | None:
        """Show the pruner the values of a trial that it has not seen yet, one after another.

        Goes on from the trial's `n_judged`, and leaves there and in `attributes` what is to be remembered.

        Returns: the number of the value after which the trial shall stop, or None.
        """
        trial = self.trials[index]
        storage = self._study._storage
        trial_id = self._study.get_trials(deepcopy=False)[index]._trial_id
        stop_at: int | None = None
        for n in sorted(n for n in trial.reports if n > trial.n_judged):
            storage.set_trial_intermediate_value(trial_id, n, trial.reports[n])
            trial.n_judged = n
            if stop_at is None and self._study.pruner.prune(self._study, storage.get_trial(trial_id)):
                stop_at = n
        trial.attributes = dict(storage.get_trial(trial_id).system_attrs)
        return stop_at

    def close(self, index: int, state: str) -> None:
        """Let a trial that was running be ended for what is decided next."""
        self.trials[index].state = state
        trial_id = self._study.get_trials(deepcopy=False)[index]._trial_id
        value = self.trials[index].value
        self._study._storage.set_trial_state_values(
            trial_id, _state(self.trials[index]), None if state != "completed" or value is None else [value]
        )

    def suggest(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Choose the parameters of the next trial; give them with what the sampler wants to remember."""
        self._study.sampler = self._sampler(len(self.trials))
        trial = self._study.ask(self._distributions)
        frozen = self._study.get_trials(deepcopy=False)[trial.number]
        self.trials.append(Known(dict(trial.params), "running"))
        return dict(trial.params), dict(frozen.system_attrs)

    def importance(self) -> dict[str, float]:
        """Say how much each parameter decides over being among the best, as shares of 1 (PED-ANOVA).

        A pruned trial counts with what it had reached: it is one of those that are not among the best. Empty
        until there are enough trials with different values.
        """
        done = [
            Known(trial.parameters, "completed", trial.value)
            for trial in self.trials
            if trial.state in {"completed", "pruned"}
            and trial.value is not None
            and math.isfinite(trial.value)
        ]
        varied = {name for name in self._distributions if len({repr(t.parameters[name]) for t in done}) > 1}
        if len(done) < FEWEST_TO_WEIGH or not varied or len({trial.value for trial in done}) < 2:
            return {}
        import optuna

        # Loads scikit-learn too where that is installed, though this evaluator needs none of it.
        from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

        study = optuna.create_study(direction=self._study.direction)
        for trial in done:
            study.add_trial(self._freeze(trial))
        found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator(), params=sorted(varied))
        return {name: float(found.get(name, 0.0)) for name in self._distributions}

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        """Make the sampler for this trial: its choice depends on the trial's number and on nothing before."""
        from optuna.samplers import GridSampler, RandomSampler, TPESampler

        search = self._search
        seed = (search.seed * SEED_STRIDE + number) % 2**32
        if search.sampler == "grid":
            grid = {name: dimension.values() or [] for name, dimension in search.space.items()}
            return GridSampler(grid, seed=search.seed % 2**32)
        if search.sampler == "random":
            return RandomSampler(seed=seed)
        # Optuna's usual ten random trials at the beginning would be half of a small sweep.
        n_random = max(4, min(10, search.n_trials // 4))
        return TPESampler(seed=seed, n_startup_trials=n_random, constant_liar=True)

    def _pruner(self) -> optuna.pruners.BasePruner:
        from optuna.pruners import HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner

        warmup = self._search.warmup
        if self._search.pruner == "asha":
            return SuccessiveHalvingPruner(min_resource=warmup)
        if self._search.pruner == "median":
            return MedianPruner(
                n_startup_trials=max(2, min(5, self._search.n_trials // 4)), n_warmup_steps=warmup
            )
        if self._search.pruner == "hyperband":
            return HyperbandPruner(min_resource=warmup)
        return NopPruner()

    def _freeze(self, trial: Known) -> optuna.trial.FrozenTrial:
        from optuna.trial import create_trial

        completed = trial.state == "completed" and trial.value is not None
        return create_trial(
            state=_state(trial),
            value=trial.value if completed else None,
            params=trial.parameters,
            distributions=self._distributions,
            intermediate_values={n: v for n, v in trial.reports.items() if n <= trial.n_judged},
            system_attrs=trial.attributes,
        )


def _state(trial: Known) -> optuna.trial.TrialState:
    from optuna.trial import TrialState

    if trial.state == "completed":
        return TrialState.COMPLETE if trial.value is not None else TrialState.FAIL
    return {"running": TrialState.RUNNING, "pruned": TrialState.PRUNED}.get(trial.state, TrialState.FAIL)


def _distribution(dimension: Dimension) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if dimension.choices:
        return CategoricalDistribution(dimension.choices)
    if dimension.whole:
        return IntDistribution(
            int(dimension.low), int(dimension.high), log=dimension.log, step=int(dimension.step or 1)
        )
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log, step=dimension.step)
