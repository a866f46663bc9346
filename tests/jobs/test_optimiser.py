"""What Optuna decides, from trials alone: no store, no jobs."""

import math
from typing import Any

import pytest

from deepevent.search_space import Dimension
from deepevent_web.optimiser import Known, Optimiser, Search

SPACE = {
    "rate": Dimension("rate", (), 1e-4, 1.0, log=True),
    "width": Dimension("width", (), 1, 64, log=True, step=1.0, whole=True),
    "noise": Dimension("noise", choices=("a", "b")),
}


def search(**changes: Any) -> Search:
    """A search over SPACE."""
    plain: dict[str, Any] = {"direction": "max", "sampler": "tpe", "pruner": "none", "warmup": 1, "seed": 5}
    return Search(**{"name": "s", "space": SPACE, "n_trials": 30, **plain, **changes})


def completed(parameters: dict[str, Any]) -> Known:
    """A trial that is the better the nearer its rate is to 0.01."""
    return Known(parameters, "completed", -abs(math.log10(parameters["rate"]) + 2))


def grown(n: int, **changes: Any) -> list[Known]:
    """So many trials, each chosen from those before by an optimiser of its own."""
    trials: list[Known] = []
    for _ in range(n):
        trials.append(completed(Optimiser(search(**changes), trials).suggest()[0]))
    return trials


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_the_same_rows_give_the_same_choice(sampler: str) -> None:
    """A choice depends on the trials and their number; every choice lies in the space."""
    trials = grown(8, sampler=sampler)
    assert [trial.parameters for trial in grown(8, sampler=sampler)] == [t.parameters for t in trials]
    for trial in trials:
        assert all(SPACE[name].holds(value) for name, value in trial.parameters.items())


def test_tpe_learns_where_to_look() -> None:
    """Of thirty trials, those of the second half lie nearer to the best rate than those of the first."""
    values = [trial.value for trial in grown(30)]
    assert sum(values[15:]) > sum(values[:15])


def test_importance_names_the_parameter_that_decides() -> None:
    """The rate decides all; pruned trials count; of too few trials nothing is said."""
    trials = grown(18, sampler="random")
    for trial in trials[::3]:
        trial.state = "pruned"
    shares = Optimiser(search(), trials).importance()
    assert sum(shares.values()) == pytest.approx(1)
    assert max(shares, key=lambda name: shares[name]) == "rate"
    assert Optimiser(search(), trials[:3]).importance() == {}


@pytest.mark.parametrize("pruner", ["asha", "median", "hyperband"])
def test_a_pruner_stops_the_weak_and_lets_the_strong_go_on(pruner: str) -> None:
    """Beside twelve trials that reached 0.9, one at 0.1 is stopped and one at 0.95 is not."""
    trials = [Known(p.parameters, "completed", 0.9, dict.fromkeys(range(1, 10), 0.9)) for p in grown(12)]
    strong = Known(trials[0].parameters, "running", None, dict.fromkeys(range(1, 10), 0.95))
    weak = Known(trials[1].parameters, "running", None, dict.fromkeys(range(1, 10), 0.1))
    for trial in trials:
        trial.state = "running"  # as long as the pruner has not seen its values
    optimiser = Optimiser(search(pruner=pruner), [*trials, strong, weak])
    for i in range(12):
        optimiser.judge(i)
        optimiser.close(i, "completed")
    assert optimiser.judge(12) is None
    assert optimiser.judge(13) is not None
    assert weak.n_judged == 9


def test_a_value_that_is_not_finite_stops_a_trial_or_nothing() -> None:
    """NaN is worse than anything to ASHA and never an error; infinite values neither."""
    trials = [
        Known({"rate": 0.1, "width": 8, "noise": "a"}, "running", None, {1: v})
        for v in (0.5, math.nan, -math.inf)
    ]
    optimiser = Optimiser(search(pruner="asha"), trials)
    assert [optimiser.judge(i) for i in range(3)] == [None, 1, 1]
    assert optimiser.suggest()[0].keys() == SPACE.keys()
