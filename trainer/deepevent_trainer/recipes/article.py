"""The nets of the article; where it is silent, the widths of Li et al., CVPR 2015.

det12: 12x12 -> conv 10x10x16 -> pool 4x4x16 -> 16 -> 2
cal12: 12x12 -> conv 10x10x16 -> pool 4x4x16 -> 128 -> 45
det24: 24x24 -> conv 20x20x64 -> pool 9x9x64 -> 128 -> 2
cal24: 24x24 -> conv 20x20x32 -> pool 9x9x32 -> 64 -> 45
det48: 48x48 -> conv 44x44x64 -> pool 21x21x64 -> conv 17x17x64 -> pool 8x8x64 -> 256 -> 2
det48-large: the same with 96 maps in the second convolution and 512 units, after more data was there
cal48: 48x48 -> conv 44x44x64 -> pool 21x21x64 -> conv 17x17x64 -> 256 -> 45
"""

from __future__ import annotations

from deepevent_trainer.plans import Convolution, Dense, Dropout, Layer, Plan, Pooling


def _small(maps: int, kernel: int, units: int) -> tuple[Layer, ...]:
    return (Dropout(0.1), Convolution(maps, kernel), Pooling(), Dropout(0.5), Dense(units), Dropout(0.5))


def _large(second: int, units: int) -> tuple[Layer, ...]:
    return (
        Dropout(0.1),
        Convolution(64, 5),
        Pooling(),
        Convolution(second, 5),
        Pooling(),
        Dropout(0.3),
        Dense(units),
        Dropout(0.3),
    )


_CAL48: tuple[Layer, ...] = (
    Dropout(0.1),
    Convolution(64, 5),
    Pooling(),
    Convolution(64, 5),
    Dropout(0.3),
    Dense(256),
    Dropout(0.3),
)

_PLANS = (
    Plan("det12", "detection", 12, _small(16, 3, 16)),
    Plan("cal12", "calibration", 12, _small(16, 3, 128)),
    Plan("det24", "detection", 24, _small(64, 5, 128)),
    Plan("cal24", "calibration", 24, _small(32, 5, 64)),
    Plan("det48", "detection", 48, _large(64, 256)),
    Plan("det48-large", "detection", 48, _large(96, 512)),
    Plan("cal48", "calibration", 48, _CAL48),
)
PLANS: dict[str, Plan] = {plan.name: plan for plan in _PLANS}
