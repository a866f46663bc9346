"""Multi-resolution as the article tried it: the window at N, N/2 and N/4, feature maps joined at the end.

det48: 48x48 -> conv 44x44x64 -> pool 21x21x64 -> conv 17x17x64 -> pool 8x8x64 (4,096 values)
       24x24 -> conv 20x20x32 -> pool 9x9x32 (2,592 values)
       12x12 -> conv 10x10x16 -> pool 4x4x16 (256 values); all 6,944 joined -> 2
det24: 24x24 -> conv 20x20x64 -> pool 9x9x64 (5,184), 12x12 -> conv 10x10x32 -> pool 4x4x32 (512),
       6x6 -> conv 4x4x16 (256); all 5,952 joined -> 2
"""

from __future__ import annotations

from deepevent_trainer.plans import Branch, Convolution, Dropout, Layer, Plan, Pooling

_TWO: tuple[Layer, ...] = (
    Dropout(0.1),
    Convolution(64, 5),
    Pooling(),
    Convolution(64, 5),
    Pooling(),
    Dropout(0.3),
)


def _one(maps: int, kernel: int) -> tuple[Layer, ...]:
    return (Dropout(0.1), Convolution(maps, kernel), Pooling(), Dropout(0.3))


_PLANS = (
    Plan("det24", "detection", 24, _one(64, 5), (Branch(2, _one(32, 3)), Branch(4, (Convolution(16, 3),)))),
    Plan("det48", "detection", 48, _TWO, branches=(Branch(2, _one(32, 5)), Branch(4, _one(16, 3)))),
)
PLANS: dict[str, Plan] = {plan.name: plan for plan in _PLANS}
