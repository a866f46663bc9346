"""The article's inceptron: three small Inception modules on 64x64, and with the fourth branch it lacked.

inceptron64: 64x64 -> inception 64x64x112 -> pool 32x32x112 -> inception 32x32x208 -> pool 16x16x208 ->
inception 16x16x224 -> pool 8x8x224 -> 256 -> 2. Widths are the article's: (32 | 48-64 | 8-16),
(64 | 64-96 | 16-48), (96 | 48-104 | 8-24); every convolution keeps the side by padding.
inceptron64-four: a pooled branch of 16, 32 and 32 maps beside, which Theano could not do.
"""

from __future__ import annotations

from deepevent_trainer.plans import Dense, Dropout, Inception, Layer, Plan, Pooling


def _layers(pooled: tuple[int, int, int]) -> tuple[Layer, ...]:
    return (
        Inception(32, 48, 64, 8, 16, pooled[0]),
        Pooling(2, 2),
        Inception(64, 64, 96, 16, 48, pooled[1]),
        Pooling(2, 2),
        Inception(96, 48, 104, 8, 24, pooled[2]),
        Pooling(2, 2),
        Dropout(0.3),
        Dense(256),
        Dropout(0.3),
    )


_PLANS = (
    Plan("inceptron64", "detection", 64, _layers((0, 0, 0))),
    Plan("inceptron64-four", "detection", 64, _layers((16, 32, 32))),
)
PLANS: dict[str, Plan] = {plan.name: plan for plan in _PLANS}
