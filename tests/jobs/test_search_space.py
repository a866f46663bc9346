"""What may be searched: the text and JSON forms of a space, checked against the recipe."""

from typing import Any

import pytest

from deepevent.errors import ParametersInvalid, SettingsError
from deepevent.recipes import parse_recipe
from deepevent.search_space import check_values, grid_size, parse_text, read_space, restore

RECIPE = parse_recipe(
    "train",
    {
        "command": ["train"],
        "parameters": {
            "lr": {"type": "float", "min": 1e-6, "max": 10},
            "layers": {"type": "int", "min": 1, "max": 8},
            "batch": {"type": "choice", "choices": [32, 64]},
            "norm": {"type": "bool"},
            "note": {"type": "string", "optional": True},
        },
    },
)


def space_of(**texts: str) -> Any:
    """A space as the command line gives it."""
    return read_space(RECIPE, {name: parse_text(text) for name, text in texts.items()})


def test_every_form_becomes_its_dimension() -> None:
    """Logarithmic, continuous, stepped, whole and listed parameters come out in the order of the recipe."""
    space = space_of(norm="choice:true,false", batch="choice:64", layers="int:1:8:3", lr="log:1e-4:1e-1")
    assert list(space) == ["lr", "layers", "batch", "norm"]
    assert space["lr"].describe() == {"type": "float", "low": 1e-4, "high": 0.1, "log": True}
    assert space["layers"].values() == [1, 4, 7]
    assert space["batch"].values() == [64]
    assert space["norm"].values() == [True, False]
    assert restore({name: dimension.describe() for name, dimension in space.items()}) == space


def test_a_grid_is_counted_and_a_continuous_range_is_none() -> None:
    """The number of combinations; none where a range has no steps."""
    assert grid_size(space_of(layers="int:1:4", batch="choice:32,64", lr="float:0.1:0.5:0.1")) == 4 * 2 * 5
    assert grid_size(space_of(lr="float:0.1:0.5")) is None


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("lr", "log:0:1", ">= 1e-06"),
        ("lr", "float:1:20", "<= 10"),
        ("lr", "float:2:1", "low must be below high"),
        ("lr", "float:1:2:5", "within the range"),
        ("layers", "int:0:4", ">= 1"),
        ("layers", "float:1.5:4", "whole number"),
        ("batch", "choice:32,16", "must be one of 32, 64"),
        ("batch", "int:32:64", "give choices"),
        ("note", "choice:a,a", "must differ"),
        ("momentum", "float:0:1", "is not a parameter"),
    ],
)
def test_what_does_not_fit_the_recipe_is_refused_by_name(name: str, text: str, says: str) -> None:
    """Ends outside of the recipe's bounds, wrong types and unknown names are told in words."""
    with pytest.raises(ParametersInvalid) as error:
        space_of(**{name: text})
    assert says in error.value.problems[name]


@pytest.mark.parametrize("text", ["log:1", "log:a:b", "int:1.5:2", "gauss:0:1", "choice:", "1e-3"])
def test_what_is_no_range_is_refused(text: str) -> None:
    """A text of another form names the forms that there are."""
    with pytest.raises(SettingsError, match="LOW:HIGH"):
        parse_text(text)


@pytest.mark.parametrize(
    "table",
    [None, {}, {"low": True, "high": 2}, {"low": 0.1, "high": float("inf")}, {"choices": []}, {"a": 1}],
)
def test_a_malformed_dimension_is_refused(table: Any) -> None:
    """Whatever JSON stands for a dimension, the answer is a sentence."""
    with pytest.raises(ParametersInvalid):
        read_space(RECIPE, {"lr": table})


def test_a_point_of_ones_own_lies_in_the_space() -> None:
    """Every searched parameter, within its range, in its type; nothing else."""
    space = space_of(lr="log:1e-4:1e-1", layers="int:1:8:3", batch="choice:32,64")
    good = {"lr": "0.01", "layers": "4", "batch": "64"}
    assert check_values(RECIPE, space, good) == {"lr": 0.01, "layers": 4, "batch": 64}
    for wrong in ({"lr": 0.5}, {"layers": 3}, {"batch": None}, {"norm": True}):
        with pytest.raises(ParametersInvalid) as error:
            check_values(RECIPE, space, {**good, **wrong})
        assert list(error.value.problems) == list(wrong)
