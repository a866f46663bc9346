"""What people log, turned into float64: numbers of every library, and nothing else.

A value that lies on an accelerator is recognised and not touched: reading it would make the caller wait for
the device. `snapshot` freezes such a value without waiting, and the shipper's thread reads it later.
"""

from __future__ import annotations

import sys

from deepevent.notices import say_once

NAME_LIMIT = 250
EXACT_INTEGER_LIMIT = 1 << 53
STEP_LIMIT = (1 << 63) - 1
EPOCH = "epoch"  # reserved: the `epoch` argument travels as the value of this metric


def check_name(name: object, what: str = "a metric name") -> str:
    """Return the name if it can be one.

    Raises:
        TypeError: it is not a text.
        ValueError: it is empty, too long, or has control characters or lone surrogates in it.
    """
    if not isinstance(name, str):
        raise TypeError(f"{what} must be a str, got {type(name).__name__} {str(name)[:50]!r}")
    if not name or len(name) > NAME_LIMIT:
        raise ValueError(f"{what} has 1 to {NAME_LIMIT} characters, got {len(name)}: {name[:50]!r}…")
    if not name.isprintable():  # a quick yes for nearly every name; the exact question only then
        for character in name:
            code = ord(character)
            if code < 0x20 or 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000 or code in (0x2028, 0x2029):
                raise ValueError(f"{what} cannot hold control characters, got {name[:50]!r}")
    return name


def to_float(value: object) -> float:
    """Convert a number of any kind; NaN and infinities pass as they are.

    Raises:
        TypeError: it is no number.
        ValueError: it is an array of more than one element, or a number beyond float64.
    """
    if isinstance(value, float):
        return float(value)
    if isinstance(value, int):
        return _integer_to_float(value)
    if isinstance(value, (str, bytes, bytearray, complex)) or value is None:
        raise TypeError(f"a metric's value must be a number, got {type(value).__name__} {str(value)[:50]!r}")
    size = getattr(value, "size", None)
    n_elements = value.numel() if hasattr(value, "numel") else size if isinstance(size, int) else 1
    if n_elements != 1:
        raise ValueError(f"a metric's value must be one number, got {type(value).__name__} of {n_elements}")
    item = getattr(value, "item", None)
    try:
        number = item() if callable(item) else value.__float__()  # type: ignore[attr-defined]
    except AttributeError:
        kind = type(value).__name__
        raise TypeError(f"a metric's value must be a number, got {kind} {str(value)[:50]!r}") from None
    if isinstance(number, float):
        return float(number)
    if isinstance(number, int):
        return _integer_to_float(number)
    if type(number) is type(value):
        return float(number)  # type: ignore[arg-type]  # numpy.longdouble: its item() is itself
    return to_float(number)


def _integer_to_float(value: int) -> float:
    if not -EXACT_INTEGER_LIMIT <= value <= EXACT_INTEGER_LIMIT:
        say_once(
            "inexact integer",
            f"{str(value)[:30]} is beyond 2**53: such integers are kept as the nearest float64",
        )
    try:
        return float(value)
    except OverflowError:
        raise ValueError(
            f"a metric's value must fit float64, got an integer of {value.bit_length()} bits"
        ) from None


def to_step(step: object) -> int:
    """Convert a step.

    Raises:
        TypeError: it is no integer.
        ValueError: it is negative, or above 2**63 - 1.
    """
    if isinstance(step, bool) or not hasattr(step, "__index__"):
        if isinstance(step, float) and step.is_integer():
            number = int(step)
        else:
            raise TypeError(f"a step must be an integer, got {type(step).__name__} {str(step)[:50]!r}")
    else:
        number = step.__index__()
    if not 0 <= number <= STEP_LIMIT:
        raise ValueError(f"a step lies between 0 and 2**63 - 1, got {str(number)[:30]}")
    return number


def is_on_device(value: object) -> bool:
    """Say whether reading this value would wait for an accelerator."""
    if isinstance(value, (float, int)):
        return False
    on_cuda = getattr(value, "is_cuda", None)
    if on_cuda is True:
        return True
    device = getattr(value, "device", None)
    if device is None or callable(device):
        return False
    kind = getattr(device, "type", None)  # torch
    if not isinstance(kind, str):
        kind = getattr(device, "platform", None)  # jax
    if not isinstance(kind, str):
        kind = str(device)  # NumPy 2: "cpu"
    return kind != "cpu" and not kind.startswith("cpu:")


def snapshot(value: object) -> object:
    """Freeze a device value as it is now, without waiting: training may change it in place afterwards.

    Returns:
        Something whose `item()` gives the number, to be called on another thread.
    """
    detach = getattr(value, "detach", None)
    if not callable(detach):
        return value  # jax arrays never change
    copy = detach().clone()
    torch = sys.modules.get("torch")
    if torch is None or not getattr(copy, "is_cuda", False) or not isinstance(copy, torch.Tensor):
        return copy
    done = torch.cuda.Event()  # the other thread has another current stream: it must wait for this copy
    done.record()
    return _CudaCopy(copy, done)


class _CudaCopy:
    """A copy of a CUDA scalar, readable once its event has happened."""

    def __init__(self, copy: object, done: object) -> None:
        self.copy = copy
        self.done = done

    def item(self) -> object:
        """Wait for the copy on the device, then read it."""
        self.done.synchronize()  # type: ignore[attr-defined]
        return self.copy.item()  # type: ignore[attr-defined]
