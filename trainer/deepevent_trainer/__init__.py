"""The cascade face detector, its training and the demo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deepevent_trainer.runtime import Detector

__all__ = ["Detector"]


def __getattr__(name: str) -> Any:
    # The detector needs no torch, and the commands no ONNX Runtime: each is loaded when asked for.
    if name == "Detector":
        from deepevent_trainer.runtime import Detector

        return Detector
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
