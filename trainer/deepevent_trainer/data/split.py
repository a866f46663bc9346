"""Dividing photographs into training and validation: by group, never by crop.

Two crops of one photograph, or two photographs of one person, look alike; on both sides they would make a
validation accuracy that nobody should believe. Knows photographs, not pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from deepevent.errors import SettingsError
from deepevent_trainer.data.photographs import Photograph

VALIDATION_SHARE = 0.2


@dataclass(frozen=True)
class Division:
    """Photographs to learn from and photographs to judge by; no group is in both."""

    training: list[Photograph]
    validation: list[Photograph]


def divide(
    photographs: Iterable[Photograph], seed: int, validation_share: float = VALIDATION_SHARE
) -> Division:
    """Divide photographs by group; what its authors marked `train` or `val` stays there, `test` is left out.

    The others are ordered by a hash of seed and group, those with and those without faces apart, and groups
    go to validation until it holds its share. A group goes where its first marked member is. So one
    photograph more moves few others.

    Raises:
        SettingsError: if the share cannot be used, or one side would have no face.
    """
    if not 0 < validation_share < 1:
        raise SettingsError(f"validation_share must be between 0 and 1, got {validation_share!r}")
    groups: dict[str, list[Photograph]] = {}
    for photograph in photographs:
        if photograph.split != "test":
            groups.setdefault(photograph.group or photograph.name, []).append(photograph)
    training: list[Photograph] = []
    validation: list[Photograph] = []
    free: tuple[list[str], list[str]] = ([], [])
    for group, members in groups.items():
        marks = {member.split for member in members} - {None}
        if "val" in marks:
            validation += members
        elif marks:
            training += members
        else:
            free[any(len(member.faces) for member in members)].append(group)
    for names in free:
        chosen = _share(names, groups, seed, validation_share)
        for name in names:
            (validation if name in chosen else training).extend(groups[name])
    for side, members in (("training", training), ("validation", validation)):
        if not any(len(member.faces) for member in members):
            raise SettingsError(
                f"no face is left for {side} after dividing {len(groups)} groups of photographs: give more "
                "photographs, or mark some with split in images.csv"
            )
    return Division(training, validation)


def _share(names: Sequence[str], groups: dict[str, list[Photograph]], seed: int, share: float) -> set[str]:
    """Return the groups, first by hash, that hold `share` of the photographs of `names`."""
    wanted = share * sum(len(groups[name]) for name in names)
    chosen: set[str] = set()
    n_photographs = 0
    for name in sorted(names, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest()):
        if n_photographs >= wanted:
            break
        # A large group that overshoots by more than it lacked is passed over, unless nothing would be chosen.
        size = len(groups[name])
        if chosen and n_photographs + size - wanted > wanted - n_photographs:
            continue
        chosen.add(name)
        n_photographs += size
    return chosen
