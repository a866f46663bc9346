"""The nets of Li et al., CVPR 2015, section 3 and figure 2, with their multi-resolution branches.

det12: 12x12 -> conv 10x10x16 -> pool 4x4x16 -> 16 -> 2
cal12: 12x12 -> conv 10x10x16 -> pool 4x4x16 -> 128 -> 45
det24: 24x24 -> conv 20x20x64 -> pool 9x9x64 -> 128, joined with a det12's 16 on the window at 12x12 -> 2
cal24: 24x24 -> conv 20x20x32 -> pool 9x9x32 -> 64 -> 45
det48: 48x48 -> conv 44x44x64 -> pool 21x21x64 -> norm -> conv 17x17x64 -> norm -> pool 8x8x64 -> 256, joined
with a det24's 128 at 24x24 and its 16 at 12x12 -> 2
cal48: 48x48 -> conv 44x44x64 -> pool 21x21x64 -> norm -> conv 17x17x64 -> norm -> 256 -> 45
Branches are trained with their net. Dropout 0.5 on dense layers is of the public re-implementations.
"""

from __future__ import annotations

from deepevent_trainer.plans import (
    Branch,
    Convolution,
    Dense,
    Dropout,
    Layer,
    Plan,
    Pooling,
    ResponseNormalisation,
)


def _small(maps: int, kernel: int, units: int) -> tuple[Layer, ...]:
    return (Convolution(maps, kernel), Pooling(), Dense(units), Dropout(0.5))


_LARGE: tuple[Layer, ...] = (
    Convolution(64, 5),
    Pooling(),
    ResponseNormalisation(),
    Convolution(64, 5),
    ResponseNormalisation(),
)
_AT_12 = _small(16, 3, 16)
_AT_24 = _small(64, 5, 128)

_PLANS = (
    Plan("det12", "detection", 12, _AT_12),
    Plan("cal12", "calibration", 12, _small(16, 3, 128)),
    Plan("det24", "detection", 24, _AT_24, branches=(Branch(2, _AT_12),)),
    Plan("cal24", "calibration", 24, _small(32, 5, 64)),
    Plan(
        "det48",
        "detection",
        48,
        (*_LARGE, Pooling(), Dense(256), Dropout(0.5)),
        branches=(Branch(2, _AT_24), Branch(4, _AT_12)),
    ),
    Plan("cal48", "calibration", 48, (*_LARGE, Dense(256), Dropout(0.5))),
)
PLANS: dict[str, Plan] = {plan.name: plan for plan in _PLANS}
