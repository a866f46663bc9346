"""Look a set over before it costs a training: broken images, impossible boxes, doubles across the divide.

Returns findings; what is done with them (a text, JSON, a run in the dashboard) is the command's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepevent_trainer.data.duplicates import PictureHash, picture_hash, similar_pairs
from deepevent_trainer.data.photographs import Photograph

# The kinds of findings, in the order of a report. `leak` is the worst: a test would measure memory.
KINDS = {
    "leak": "the same picture in training and in test",
    "broken": "the image cannot be read",
    "empty": "a box without area",
    "outside": "a box that lies outside of the image",
    "duplicate": "the same picture twice",
    "beyond": "a box that reaches beyond the image's edge",
}

# A box may stick out by this part of its size before it is reported: ellipses and square boxes often do.
_BEYOND_SHARE = 0.25


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        kind: a key of `KINDS`.
        photograph: its name.
        detail: one sentence.
        box: the box that is meant, or None.
        other: the other picture's name, or an empty string.
    """

    kind: str
    photograph: str
    detail: str
    box: list[float] | None = None
    other: str = ""


@dataclass(frozen=True)
class Report:
    """The findings of one check.

    Attributes:
        n_photographs: how many were looked at.
        n_faces: how many boxes of faces they have.
        findings: by kind, in the order of `KINDS`.
    """

    n_photographs: int
    n_faces: int
    findings: list[Finding]

    def counts(self) -> dict[str, int]:
        """Return how many findings there are of each kind, all kinds named."""
        found = Counter(finding.kind for finding in self.findings)
        return {kind: found[kind] for kind in KINDS}

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return asdict(self) | {"counts": self.counts()}


def check(
    photographs: Sequence[Photograph], progress: Callable[[int, int], None] = lambda _done, _total: None
) -> Report:
    """Look at every photograph, then at all pairs of them.

    Args:
        photographs: of one or several sets; names unique.
        progress: called with the photographs done and all.
    """
    findings: list[Finding] = []
    hashes: list[PictureHash] = []
    hashed: list[Photograph] = []
    for done, photograph in enumerate(photographs, start=1):
        try:
            pixels = photograph.read()
        except ValueError as error:
            findings.append(Finding("broken", photograph.name, str(error)))
        else:
            findings += _boxes(photograph, pixels.shape[1], pixels.shape[0])
            hashes.append(picture_hash(pixels))
            hashed.append(photograph)
        progress(done, len(photographs))
    for first, second, bits in similar_pairs(hashes):
        findings.append(_pair(hashed[first], hashed[second], bits))
    order = list(KINDS)
    findings.sort(key=lambda finding: order.index(finding.kind))
    return Report(len(photographs), sum(len(photograph.faces) for photograph in photographs), findings)


def _boxes(photograph: Photograph, width: int, height: int) -> list[Finding]:
    findings = []
    for box in photograph.faces.astype(np.float64):
        finding = _box(photograph.name, box, width, height)
        if finding is not None:
            findings.append(finding)
    return findings


def _box(name: str, box: NDArray[np.float64], width: int, height: int) -> Finding | None:
    corners = [round(float(value), 1) for value in box]
    x1, y1, x2, y2 = corners
    if not np.isfinite(box).all() or x2 <= x1 or y2 <= y1:
        return Finding("empty", name, f"box {corners} has no area", corners)
    inside_x, inside_y = min(x2, width) - max(x1, 0.0), min(y2, height) - max(y1, 0.0)
    if inside_x <= 0 or inside_y <= 0:
        return Finding("outside", name, f"box {corners} lies outside of {width} x {height}", corners)
    if inside_x < (1 - _BEYOND_SHARE) * (x2 - x1) or inside_y < (1 - _BEYOND_SHARE) * (y2 - y1):
        return Finding("beyond", name, f"box {corners} reaches far beyond {width} x {height}", corners)
    return None


def _pair(first: Photograph, second: Photograph, bits: int) -> Finding:
    divided = first.split is not None and second.split is not None and first.split != second.split
    if divided and "train" in (first.split, second.split):
        detail = f"in {first.split} and, as {second.name}, in {second.split} ({bits} of 512 bits differ)"
        return Finding("leak", first.name, detail, other=second.name)
    return Finding(
        "duplicate", first.name, f"also {second.name} ({bits} of 512 bits differ)", other=second.name
    )
