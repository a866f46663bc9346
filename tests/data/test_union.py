"""The union of sets: names, groups and shares."""

from __future__ import annotations

import numpy as np
import pytest

from deepevent.errors import DataSetError
from deepevent_trainer.data.photographs import Photograph
from deepevent_trainer.data.readers.fddb import FddbPhotograph
from deepevent_trainer.data.union import Member, union


def some(n: int, group: str = "") -> list[Photograph]:
    return [Photograph(name=f"{index}.jpg", group=group) for index in range(n)]


def test_each_member_is_drawn_by_its_share_whatever_its_size() -> None:
    """A set of 2 with weight 3 is drawn three times as often as a set of 50 with weight 1."""
    joined = union([Member("small", some(2), weight=3), Member("large", some(50, group="ann"))])
    assert joined.probabilities.sum() == pytest.approx(1)
    assert joined.probabilities[:2].sum() == pytest.approx(0.75)
    drawn = joined.draw(4000, np.random.default_rng(1))
    assert sum(photograph.name.startswith("small/") for photograph in drawn) == pytest.approx(3000, abs=150)
    assert joined.draw(0, np.random.default_rng(1)) == []


def test_names_and_groups_stay_apart() -> None:
    """The same file name or person in two sets is not the same photograph or group; own kinds survive."""
    joined = union([Member("a", some(1, group="ann")), Member("b", [FddbPhotograph(name="0.jpg", fold=4)])])
    first, second = joined.photographs
    assert (first.name, first.group) == ("a/0.jpg", "a/ann")
    assert (second.name, second.group) == ("b/0.jpg", "")
    assert isinstance(second, FddbPhotograph)
    assert second.fold == 4


def test_every_problem_of_a_union_is_said_at_once() -> None:
    """Empty sets, weights of zero and equal names are listed together."""
    with pytest.raises(
        DataSetError, match=r"weight of 'a'.*'b' has no photographs.*two members are named 'b'"
    ):
        union([Member("a", some(1), weight=0), Member("b", []), Member("b", some(1))])
    with pytest.raises(DataSetError, match="no members"):
        union([])
