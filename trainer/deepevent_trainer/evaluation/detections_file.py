"""Detections as a JSON file: what `deepevent evaluate` reads and every detector can write.

    {"detector": "name 1.0", "detections": {"<photograph>": {"boxes": [[x1, y1, x2, y2], …], "scores": […]}},
     "ms": {"<photograph>": 12.5}}

`detector` and `ms` (time per photograph) may be missing. Boxes are as in `boxes`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from deepevent.errors import DataSetError
from deepevent_trainer.boxes import as_boxes
from deepevent_trainer.evaluation.matching import Detections


@dataclass(frozen=True)
class DetectionsFile:
    """What one detector found in a set.

    Attributes:
        detections: by the names of photographs.
        detector: what made them.
        ms: milliseconds per photograph, by name; empty if nobody measured.
    """

    detections: Mapping[str, Detections]
    detector: str = ""
    ms: Mapping[str, float] = field(default_factory=dict)

    def median_ms(self) -> float | None:
        """Return the median time per photograph, None if nobody measured."""
        return float(np.median(list(self.ms.values()))) if self.ms else None


def read_detections(path: Path) -> DetectionsFile:
    """Read a file of detections.

    Raises:
        DataSetError: if the file cannot be read or is not in this format, naming the photograph.
    """
    try:
        content = json.loads(path.read_bytes())
        entries = content["detections"].items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataSetError(
            f"cannot read detections from {path}: {type(error).__name__} {error}; expected JSON as "
            '{"detections": {"photograph": {"boxes": [[x1, y1, x2, y2]], "scores": [0.9]}}}'
        ) from error
    detections = {}
    for name, entry in entries:
        try:
            scores = np.asarray(entry["scores"], dtype=np.float64)
            detections[name] = Detections(as_boxes(entry["boxes"]), scores)
        except (KeyError, TypeError, ValueError) as error:
            raise DataSetError(f"{path}: the detections of {name!r} are broken: {error}") from error
    times = {name: float(value) for name, value in content.get("ms", {}).items()}
    return DetectionsFile(detections, str(content.get("detector", "")), times)


def write_detections(path: Path, made: DetectionsFile) -> None:
    """Write a file of detections."""
    content = {
        "detector": made.detector,
        "detections": {
            name: {"boxes": found.boxes.tolist(), "scores": found.scores.tolist()}
            for name, found in made.detections.items()
        },
        "ms": dict(made.ms),
    }
    path.write_text(json.dumps(content))
