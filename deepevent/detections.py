"""The event that no other monitor has: which windows each stage of a detector kept, and where they came from.

Boxes are `(N, 4)` float `x1, y1, x2, y2` in pixels of the original image, right and bottom exclusive. Every
problem is named with the stage in which it lies. Knows no networks: any detector with stages can log these.
"""

from __future__ import annotations

import math
from typing import Any

KINDS = ("classify", "calibrate", "suppress", "final")
BOX_DECIMALS = 2
SCORE_DECIMALS = 5
# Optional: the score from which a stage accepts, how many windows it accepted (more than are sent), and saw.
STAGE_NUMBERS = ("threshold", "total", "seen")


def plain_detections(detections: Any) -> dict[str, object]:
    """Check detections and turn them into plain, short JSON values.

    Args:
        detections: `{"truth": boxes, "train": bool, "stages": [{"name", "kind", "boxes", "scores",
            "parents"}…]}`; arrays and tensors may stand for lists. `parents[i]` is the index, in the stage
            before, of the box that box i came from, or -1. A stage may also say its `threshold`, and how many
            boxes it accepted in `total` and has `seen`. `face_scores[i]` is the best score that it gave to a
            window on `truth[i]`, accepted or not, or None: so a missed face can be explained.

    Raises:
        TypeError: something is of another kind.
        ValueError: lengths, indices or numbers do not fit.
    """
    if not isinstance(detections, dict):
        raise TypeError(f"detections must be a dict, got {type(detections).__name__}")
    unknown = set(detections) - {"truth", "train", "stages"}
    if unknown:
        raise ValueError(f"detections have the keys truth, train and stages, got {sorted(map(str, unknown))}")
    plain: dict[str, object] = {
        "truth": _boxes(detections.get("truth", []), "truth"),
        "train": bool(detections.get("train", False)),
    }
    n_faces = len(plain["truth"])  # type: ignore[arg-type]
    stages: list[dict[str, object]] = []
    n_before = None
    for position, stage in enumerate(detections.get("stages", [])):
        stages.append(_stage(stage, f"stage {position}", n_before, n_faces))
        n_before = len(stages[-1]["boxes"])  # type: ignore[arg-type]
    plain["stages"] = stages
    return plain


def plain_boxes(boxes: Any) -> list[list[float]]:
    """Check boxes and turn them into lists of four numbers; errors as `plain_detections`."""
    return _boxes(boxes, "an image's")


def _stage(stage: Any, where: str, n_before: int | None, n_faces: int) -> dict[str, object]:
    if not isinstance(stage, dict) or not isinstance(stage.get("name"), str):
        raise TypeError(f"{where} must be a dict with a name")
    where = f"{where} ({stage['name']!r})"
    if stage.get("kind") not in KINDS:
        raise ValueError(f"{where} has a kind out of {', '.join(KINDS)}, got {stage.get('kind')!r}")
    boxes = _boxes(stage.get("boxes", []), where)
    plain: dict[str, object] = {"name": stage["name"], "kind": stage["kind"], "boxes": boxes}
    scores = _list(stage.get("scores"), f"{where} scores")
    if scores is not None:
        _check_length(scores, boxes, f"{where} scores")
        plain["scores"] = [_number(score, f"{where} scores", SCORE_DECIMALS) for score in scores]
    parents = _list(stage.get("parents"), f"{where} parents")
    if parents is not None:
        _check_length(parents, boxes, f"{where} parents")
        for parent in parents:
            if not isinstance(parent, int) or isinstance(parent, bool):
                raise TypeError(f"{where} parents must be integers, got {parent!r}")
            if not -1 <= parent < (n_before if n_before is not None else 0):
                raise ValueError(
                    f"{where} parents point into the stage before ({n_before or 0} boxes), got {parent}"
                )
        plain["parents"] = parents
    for key in STAGE_NUMBERS:
        if stage.get(key) is not None:
            plain[key] = _number(stage[key], f"{where} {key}", SCORE_DECIMALS)
    of_faces = _list(stage.get("face_scores"), f"{where} face_scores")
    if of_faces is not None:
        if len(of_faces) != n_faces:
            raise ValueError(
                f"{where} face_scores must be as many as the truth ({n_faces}), got {len(of_faces)}"
            )
        plain["face_scores"] = [
            None if score is None else _number(score, f"{where} face_scores", SCORE_DECIMALS)
            for score in of_faces
        ]
    return plain


def _boxes(values: Any, where: str) -> list[list[float]]:
    boxes = _list(values, f"{where} boxes") or []
    plain = []
    for box in boxes:
        corners = _list(box, f"{where} boxes")
        if corners is None or len(corners) != 4:
            raise ValueError(f"{where} boxes have four numbers x1, y1, x2, y2, got {box!r}")
        x1, y1, x2, y2 = (_number(corner, f"{where} boxes", BOX_DECIMALS) for corner in corners)
        if x2 < x1 or y2 < y1:
            raise ValueError(f"{where} boxes have x1 <= x2 and y1 <= y2, got {[x1, y1, x2, y2]}")
        plain.append([x1, y1, x2, y2])
    return plain


def _list(values: Any, where: str) -> list[Any] | None:
    if values is None:
        return None
    if hasattr(values, "tolist"):
        values = values.tolist()
    if not isinstance(values, (list, tuple)):
        raise TypeError(f"{where} must be a list or an array, got {type(values).__name__}")
    return list(values)


def _check_length(values: list[Any], boxes: list[list[float]], where: str) -> None:
    if len(values) != len(boxes):
        raise ValueError(f"{where} must be as many as the boxes ({len(boxes)}), got {len(values)}")


def _number(value: Any, where: str, decimals: int) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{where} must be numbers, got {value!r}") from None
    if not math.isfinite(number):
        raise ValueError(f"{where} must be finite, got {number}")
    return round(number, decimals)
