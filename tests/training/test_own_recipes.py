"""The recipes that ship: one for each net, and every one makes a command line that is understood."""

import argparse
import importlib
import os
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from deepevent.recipes import Recipe, build_arguments, load_recipes, place_roots
from deepevent_trainer.agent import OWN_RECIPES
from deepevent_trainer.experiments.catalogue import CASCADES as QUESTIONS
from deepevent_trainer.experiments.catalogue import NETS
from deepevent_trainer.own_runs import runs_of_their_own
from deepevent_trainer.recipes import CASCADES, RECIPES

OWN = load_recipes(OWN_RECIPES)


def parse(recipe: Recipe, folder: Path, resumed: bool = False) -> argparse.Namespace:
    """Read a recipe's arguments as the command would, with a value for each parameter that needs one."""
    places = {"data": str(folder), "jobs": str(folder), "work": str(folder), "python": "python"}
    values = {p.name: "." for p in recipe.parameters if p.type == "path"}
    values |= {p.name: p.choices[0] for p in recipe.parameters if p.type == "choice" and p.default is None}
    program, name, *words = build_arguments(
        place_roots(recipe, places), values, resumed=resumed, places=places
    )
    assert program == "deepevent"
    command = next(entry for entry in entry_points(group="deepevent.commands") if entry.name == name)
    parser = argparse.ArgumentParser(exit_on_error=False)
    importlib.import_module(command.module).configure(parser)
    return parser.parse_args(words)


def test_there_is_one_for_each_net_and_for_the_cascade() -> None:
    """Nobody has to write a recipe to train a cascade."""
    nets = {name for names in CASCADES.values() for name in names}
    assert {f"train-{net}" for net in nets} | {"train-cascade"} <= set(OWN)


def test_every_experiment_can_be_chosen() -> None:
    """`reproduce` offers what the command knows."""
    offered = next(p for p in OWN["reproduce"].parameters if p.name == "experiment").choices
    assert set(offered) == {*NETS, *QUESTIONS, "all"}


def test_nets_of_one_job_are_runs_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the block nothing names the job's run; behind it, everything is as before."""
    monkeypatch.setenv("DEEPEVENT_RUN", "of-the-job")
    monkeypatch.setenv("DEEPEVENT_RUN_OWNED", "1")
    with runs_of_their_own():
        assert not {"DEEPEVENT_RUN", "DEEPEVENT_RUN_OWNED"} & set(os.environ)
    assert os.environ["DEEPEVENT_RUN"] == "of-the-job"
    assert os.environ["DEEPEVENT_RUN_OWNED"] == "1"


@pytest.mark.parametrize("recipe", OWN.values(), ids=list(OWN))
def test_it_makes_a_command_that_is_understood(recipe: Recipe, tmp_path: Path) -> None:
    """Every parameter is an option of the command, which gets the job's folder; resuming too."""
    arguments = parse(recipe, tmp_path)
    assert str(tmp_path) in map(str, vars(arguments).values())
    if recipe.resume:
        assert parse(recipe, tmp_path, resumed=True) != arguments


@pytest.mark.parametrize("recipe", OWN.values(), ids=list(OWN))
def test_people_are_told_what_it_does(recipe: Recipe) -> None:
    """Help for the recipe and for each parameter; a checkpoint by the net's name; choices that exist."""
    assert recipe.help
    assert recipe.resources.memory_mb
    for parameter in recipe.parameters:
        assert parameter.help, parameter.name
        if parameter.name == "recipe" and recipe.name != "train-cascade":
            net = recipe.name.removeprefix("train-")
            assert all(net in RECIPES[str(choice)] for choice in parameter.choices)
