"""The article's calibration nets with four numbers beside the 45 classes: where in the window the face is.

cal12, cal24, cal48: the layers of `article`, 45 + 4 answers. One net answers both ways, so that the two are
compared on the same weights.
"""

from __future__ import annotations

from dataclasses import replace

from deepevent_trainer.plans import Plan
from deepevent_trainer.recipes import article

PLANS: dict[str, Plan] = {
    name: replace(plan, finds_box=True) for name, plan in article.PLANS.items() if plan.task == "calibration"
}
