from __future__ import annotations

import decimal
import fractions
import math
from collections.abc import Callable
from typing import Any

import numpy
import pytest

from deepevent.journal import Journal
from deepevent.values import check_name, is_on_device, to_float, to_step

MakeJournal = Callable[..., Journal]
ReadPoints = Callable[[str], list[tuple[int, dict[str, float]]]]


@pytest.mark.parametrize(
    "value",
    [
        3,
        True,
        numpy.float32(3),
        numpy.float64(3),
        numpy.float16(3),
        numpy.int64(3),
        numpy.bool_(True),
        numpy.array(3.0),
        numpy.array([[3.0]]),
        numpy.longdouble(3),
        decimal.Decimal(3),
        fractions.Fraction(3),
    ],
)
def test_numbers_of_every_library(value: Any) -> None:
    """Anything that is one number becomes its float64."""
    assert to_float(value) == float(value if not isinstance(value, numpy.ndarray) else value.item())


def test_tensors() -> None:
    """A tensor of one element is a number, with or without a gradient, in any precision."""
    torch = pytest.importorskip("torch")
    assert to_float(torch.tensor(2.5, requires_grad=True)) == 2.5
    assert to_float(torch.tensor([2.5], dtype=torch.bfloat16)) == 2.5
    assert not is_on_device(torch.tensor(1.0))


@pytest.mark.parametrize("value", ["3", b"3", None, [3.0], {"a": 1}, 3j, object()])
def test_what_is_no_number_is_a_type_error(value: object) -> None:
    """Texts, lists and the like are refused, with their type in the sentence."""
    with pytest.raises(TypeError, match=type(value).__name__):
        to_float(value)


def test_arrays_of_many_are_a_value_error() -> None:
    """An array of several numbers is no metric's value."""
    with pytest.raises(ValueError, match="one number"):
        to_float(numpy.zeros(3))
    with pytest.raises(ValueError, match="bits"):
        to_float(10**400)


def test_integers_beyond_float64_are_rounded_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    """An integer above 2**53 is kept as the nearest float64, with one warning."""
    assert to_float(2**53 + 1) == 2.0**53
    assert to_float(2**63 + 1) == 2.0**63
    assert capsys.readouterr().err.count("2**53") == 1


@pytest.mark.parametrize("step", [0, 5, numpy.int64(5), 5.0, 2**63 - 1])
def test_steps(step: Any) -> None:
    """A step is a whole number from 0 on, of any library."""
    assert to_step(step) == int(step)


@pytest.mark.parametrize("step", [-1, 2**63, 1.5, "1", True, None, math.nan])
def test_what_is_no_step(step: Any) -> None:
    """Negative, broken and boolean steps are refused."""
    with pytest.raises((TypeError, ValueError), match="step"):
        to_step(step)


@pytest.mark.parametrize("name", ["a", "train/loss", "ürgh ✓", "x" * 250, "%{x}", "<b>"])
def test_names(name: str) -> None:
    """Any printable text of up to 250 characters is a name."""
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "x" * 251, "x" * 1_000_000, "a\nb", "\x1b]0;", "\ud800", "\x7f", 3, None]
)
def test_what_is_no_name(name: Any) -> None:
    """Empty, endless and control-laden names are refused, in a sentence that stays short."""
    with pytest.raises((TypeError, ValueError)) as caught:
        check_name(name)
    assert len(str(caught.value)) < 200


BAD_CALLS: list[tuple[Any, Any]] = [
    ({"v": "text", "good": 1.0}, 0),
    ({"x" * 300: 1.0, "good": 1.0}, 0),
    ({"x" * 1_000_000: 1.0, "good": 1.0}, 0),
    ({3: 1.0, "good": 1.0}, 0),
    ({"good": 1.0}, -1),
    ({"good": 1.0}, 2**63),
    ({"good": 1.0}, "zero"),
]


@pytest.mark.parametrize(("values", "step"), BAD_CALLS)
def test_a_mistake_costs_that_value_only(
    values: Any,
    step: Any,
    make_journal: MakeJournal,
    read_points: ReadPoints,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By default a bad value or step is said once, and the rest of the call is kept."""
    journal = make_journal()
    journal.log(values, step)
    journal.log(values, step)
    assert [found for _, found in read_points(journal.folder)] == [{"good": 1.0}] * 2
    assert capsys.readouterr().err.count("deepevent:") <= 1


@pytest.mark.parametrize(("values", "step"), [*BAD_CALLS, ([1.0], 0), (None, 0), ("a", 0)])
def test_strict_mode_raises(
    values: Any, step: Any, make_journal: MakeJournal, read_points: ReadPoints
) -> None:
    """In strict mode a mistake is a TypeError or ValueError, and the journal goes on."""
    journal = make_journal(strict=True)
    with pytest.raises((TypeError, ValueError)):
        journal.log(values, step)
    journal.log({"after": 1.0}, 9)
    assert read_points(journal.folder)[-1] == (9, {"after": 1.0})


def test_what_is_no_dict_does_not_raise(
    make_journal: MakeJournal, capsys: pytest.CaptureFixture[str]
) -> None:
    """A list instead of a dict is said, not raised."""
    journal = make_journal()
    for rubbish in ([1.0], None, 3, "a"):
        journal.log(rubbish)  # type: ignore[arg-type]
    assert "log takes a dict" in capsys.readouterr().err


class DeviceTensor:
    """Behaves like a scalar on a GPU: reading it on the caller's thread is the mistake to be found."""

    is_cuda = True

    def __init__(self, value: float, reads: list[str]) -> None:
        self.value = value
        self.reads = reads

    def detach(self) -> DeviceTensor:
        return self

    def clone(self) -> DeviceTensor:
        return DeviceTensor(self.value, self.reads)

    def item(self) -> float:
        import threading

        self.reads.append(threading.current_thread().name)
        return self.value

    __float__ = item

    def numel(self) -> int:
        return 1


def test_a_device_tensor_is_not_read_by_the_caller(
    make_journal: MakeJournal, read_points: ReadPoints
) -> None:
    """A value on an accelerator is copied at once and read later, with the step and value of the call."""
    import threading

    journal = make_journal()
    reads: list[str] = []
    tensor = DeviceTensor(1.5, reads)
    journal.log({"gpu": tensor, "cpu": 2.0}, 7)
    tensor.value = 99.0  # training goes on in place
    assert reads == []
    assert read_points(journal.folder) == []
    reader = threading.Thread(target=journal.tend, name="shipper")
    reader.start()
    reader.join()
    assert reads == ["shipper"]
    assert read_points(journal.folder) == [(7, {"gpu": 1.5, "cpu": 2.0})]


def test_a_device_tensor_is_there_after_the_end(make_journal: MakeJournal, read_points: ReadPoints) -> None:
    """The end of a run reads what still waits."""
    journal = make_journal()
    journal.log({"gpu": DeviceTensor(1.5, [])}, 7)
    journal.seal()
    assert read_points(journal.folder) == [(7, {"gpu": 1.5})]
