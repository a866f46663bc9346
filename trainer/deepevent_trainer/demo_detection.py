"""What the demo shows before it trains: the cascade that ships, on the two portraits of the bundled set.

`python -m deepevent_trainer.demo_detection`, a process of its own like every script that logs a run. Knows
the detector, not the server.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

import deepevent
from deepevent.errors import TrainingError
from deepevent_trainer.data.bundled import bundled_photographs
from deepevent_trainer.explain import explain
from deepevent_trainer.runtime import Detector

_MIN_FACE_PX = 40
_LIMIT_S = 120.0
_NOTE = "The detector that ships (docs/model-card.md), on photographs that it has not learnt from."


def show_shipped(environment: Mapping[str, str]) -> str:
    """Run the detector in `environment`, which says where its run is logged, and return what it found.

    Raises:
        TrainingError: if it failed; with its own last words.
    """
    command = [sys.executable, "-m", "deepevent_trainer.demo_detection"]
    done = subprocess.run(  # noqa: S603 - our own command, no shell
        command, env=dict(environment), capture_output=True, text=True, timeout=_LIMIT_S, check=False
    )
    if done.returncode:
        words = done.stderr.strip().splitlines() or ["no words"]
        raise TrainingError(f"the shipped detector failed: {words[-1]}")
    return done.stdout.rstrip()


def main() -> int:
    """Find the faces of the portraits, log every stage, and print a line for each portrait."""
    detector = Detector(min_face=_MIN_FACE_PX)
    portraits = [photograph for photograph in bundled_photographs() if photograph.path is not None]
    with deepevent.start(name="the detector that ships", project="cascade", group="demo", notes=_NOTE) as run:
        for photograph in portraits:
            image = photograph.read()
            explanation = explain(detector, image, photograph.faces)
            run.log_detections(photograph.name, image, explanation.detections, step=0)
            n_found, n_faces = sum(fate.found for fate in explanation.fates), len(explanation.fates)
            rules = "; ".join(fate.rule for fate in explanation.fates)
            sys.stdout.write(f"  {photograph.name}: {n_found} of {n_faces} faces found ({rules})\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
