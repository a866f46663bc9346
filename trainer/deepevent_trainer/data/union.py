"""A union of data sets: one list of photographs, each set with its share.

Sets differ in size by a hundred times and in worth the other way round; the share of a set in training is
therefore said, not inherited from its size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from deepevent.errors import DataSetError
from deepevent_trainer.data.photographs import Photograph


@dataclass(frozen=True)
class Member:
    """One set of a union.

    Attributes:
        name: stands before the names of its photographs, so that names stay unique.
        photographs: what its reader returned.
        weight: its share of what is drawn, relative to the other members; above 0.
    """

    name: str
    photographs: Sequence[Photograph]
    weight: float = 1.0


@dataclass(frozen=True)
class Union:
    """The photographs of several sets.

    Attributes:
        photographs: of all members, in their order; names and groups begin with the member's name.
        probabilities: `(N,)` float64 that sum to 1: each member's share, equal within the member.
    """

    photographs: list[Photograph]
    probabilities: NDArray[np.float64]

    def draw(self, n: int, generator: np.random.Generator) -> list[Photograph]:
        """Return `n` photographs drawn with replacement by the members' shares."""
        if n == 0:
            return []
        chosen = generator.choice(len(self.photographs), size=n, p=self.probabilities)
        return [self.photographs[index] for index in chosen]


def union(members: Sequence[Member]) -> Union:
    """Return the union of `members`.

    Raises:
        DataSetError: if there is no member, one is empty, a weight is not above 0, or two have the same name.
    """
    problems = [
        f"the weight of {member.name!r} must be > 0, got {member.weight}"
        for member in members
        if not member.weight > 0
    ]
    problems += [f"{member.name!r} has no photographs" for member in members if not member.photographs]
    names = [member.name for member in members]
    problems += [
        f"two members are named {name!r}" for name in sorted({n for n in names if names.count(n) > 1})
    ]
    if not members:
        problems.append("it has no members")
    if problems:
        raise DataSetError("cannot make a union: " + "; ".join(problems))
    total = sum(member.weight for member in members)
    photographs: list[Photograph] = []
    shares = []
    for member in members:
        photographs += [_prefixed(member.name, photograph) for photograph in member.photographs]
        shares.append(np.full(len(member.photographs), member.weight / total / len(member.photographs)))
    return Union(photographs, np.concatenate(shares))


def _prefixed(name: str, photograph: Photograph) -> Photograph:
    group = f"{name}/{photograph.group}" if photograph.group else ""
    return replace(photograph, name=f"{name}/{photograph.name}", group=group)
