"""Our own nets: strided and depthwise-separable, on luminance, each finding the box beside the score.

A box in the same pass replaces the three calibration nets and their passes. Luminance alone makes the first
stage and the crops cheaper, lets grey and coloured sets be mixed without colour giving the answer away, and
leaves skin colour out of the decision. The later nets see a margin around the box: what is around a face
tells much about it.

det12: 12x12x1 -> conv 5x5x24 -> separable 3x3x32 -> 48 -> 2+4; slides over a level 4 px a step
det24: 24x24x1 -> conv 12x12x24 -> separable 6x6x48 -> 6x6x64 -> 3x3x96 -> 96 -> 2+4
det48: 48x48x1 -> conv 24x24x24 -> separable 12x12x48 -> 12x12x64 -> 6x6x96 -> 6x6x128 -> 3x3x160 -> 160
       -> 2+4
"""

from __future__ import annotations

from dataclasses import replace

from deepevent_trainer.plans import Convolution, Dense, Dropout, Plan, Separable

_PLANS = (
    Plan("det12", "detection", 12, (Convolution(24, 4, stride=2), Separable(32), Dense(48))),
    Plan(
        "det24",
        "detection",
        24,
        (
            Convolution(24, 3, stride=2, padding=1),
            Separable(48, stride=2, padding=1),
            Separable(64, padding=1),
            Separable(96, stride=2, padding=1),
            Dense(96),
        ),
        context=1.2,
    ),
    Plan(
        "det48",
        "detection",
        48,
        (
            Convolution(24, 3, stride=2, padding=1),
            Separable(48, stride=2, padding=1),
            Separable(64, padding=1),
            Separable(96, stride=2, padding=1),
            Separable(128, padding=1),
            Separable(160, stride=2, padding=1),
            Dropout(0.2),
            Dense(160),
        ),
        context=1.3,
    ),
)
PLANS: dict[str, Plan] = {
    plan.name: replace(plan, finds_box=True, planes=1, batch_norm=True) for plan in _PLANS
}
