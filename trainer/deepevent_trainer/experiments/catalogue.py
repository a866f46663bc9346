"""What each experiment compares: plain data, so that the list is the documentation.

A trial is one net trained on one amount of data; trials are shared, so that a net which stands in four
comparisons is trained once a seed. How long a trial trains depends on the size of the whole (`SIZES`) and on
its net.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Amount = Literal["small", "large"]


@dataclass(frozen=True)
class Trial:
    """One net to train.

    Attributes:
        net, recipe, batch_norm: see `networks.build_network`.
        data: a part of the training photographs, or all.
        effort: how many crops are shown, against what its size of window usually gets.
    """

    net: str
    recipe: str = "article"
    batch_norm: bool = False
    data: Amount = "large"
    effort: float = 1.0

    @property
    def key(self) -> str:
        """Return what files and runs are called: unique among trials."""
        parts = [self.net, self.recipe if self.recipe != "article" else "", "bn" if self.batch_norm else ""]
        parts += [self.data if self.data != "large" else "", "" if self.effort == 1 else f"x{self.effort:g}"]
        return "-".join(part for part in parts if part)


@dataclass(frozen=True)
class Experiment:
    """One question.

    Attributes:
        name: what the command calls it.
        question: what it asks.
        measures: what is compared, the first decides; all are of the validation photographs.
        trials: what is compared, by label; the first is what the others are held against.
    """

    name: str
    question: str
    measures: tuple[str, ...]
    trials: tuple[tuple[str, Trial], ...]


_DETECTION = ("val/accuracy", "val/false_positive_rate_at_99_recall", "val/loss")
_CALIBRATION = ("val/iou_after", "val/accuracy", "val/centre_error_px_after")


def _more_data(name: str, net: str, question: str, measures: tuple[str, ...]) -> Experiment:
    trials = ((f"{net}, small set", Trial(net, data="small")), (f"{net}, large set", Trial(net)))
    return Experiment(name, question, measures, trials)


_LARGE = "det48, large set"
# Three Inception modules on 64 px cost about six times a det48 window: both are shown a quarter of the crops.
_FEW = 0.25

NETS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (
        _more_data("det12-data", "det12", "Does the small net gain from more data?", _DETECTION),
        Experiment(
            "det48-data",
            "Does the large net gain from more data, and the enlarged one more?",
            _DETECTION,
            (
                ("det48, small set", Trial("det48", data="small")),
                (_LARGE, Trial("det48")),
                ("det48-large, small set", Trial("det48-large", data="small")),
                ("det48-large, large set", Trial("det48-large")),
            ),
        ),
        _more_data("cal12-data", "cal12", "Does the small calibration gain from more data?", _CALIBRATION),
        _more_data("cal48-data", "cal48", "Does the large calibration gain from more data?", _CALIBRATION),
        Experiment(
            "regression",
            "Does it help to answer the box directly, beside the 45 classes?",
            ("val/iou_after", "val/iou_of_box", "val/accuracy"),
            (
                ("cal12, classes", Trial("cal12")),
                ("cal12, classes and box", Trial("cal12", "regression")),
                ("cal48, classes", Trial("cal48")),
                ("cal48, classes and box", Trial("cal48", "regression")),
            ),
        ),
        Experiment(
            "multiresolution",
            "Do the same windows at a half and a quarter of the resolution help?",
            _DETECTION,
            (
                ("det24, plain", Trial("det24")),
                ("det24, multi-resolution", Trial("det24", "multiresolution")),
                ("det48, plain", Trial("det48")),
                ("det48, multi-resolution", Trial("det48", "multiresolution")),
            ),
        ),
        Experiment(
            "batch-norm",
            "What does batch normalisation (with half of the dropout) change?",
            _DETECTION,
            (
                ("det12, plain", Trial("det12")),
                ("det12, batch norm", Trial("det12", batch_norm=True)),
                ("det48, plain", Trial("det48")),
                ("det48, batch norm", Trial("det48", batch_norm=True)),
            ),
        ),
        Experiment(
            "inceptron",
            "Do three small Inception modules beat the plain large net on as many crops?",
            _DETECTION,
            (
                ("det48, plain", Trial("det48", effort=_FEW)),
                ("inceptron64", Trial("inceptron64", "inceptron", effort=_FEW)),
                ("inceptron64, batch norm", Trial("inceptron64", "inceptron", True, effort=_FEW)),
            ),
        ),
    )
}

# Asked of the trained cascade as a whole (`cascades`).
CASCADES: dict[str, str] = {
    "levels": "What do one, two and three levels find, and what does each let through?",
    "steps": "How far apart may windows stand, with and without calibration?",
    "calibration-use": "How are 45 answers best made one move: average, arg-max, or the paper's threshold?",
    "batch-size": "What does it gain to judge windows in batches?",
}


@dataclass(frozen=True)
class Size:
    """How much of everything.

    Attributes:
        seeds: trainings of every trial.
        crops: shown to a net in all, by side of its window.
        epochs: into which they are divided.
        photographs: of the training side at most; 0 is all.
        judged_photographs: on which the cascade as a whole is measured.
        mining_photographs: searched for what the cascade takes for faces.
    """

    seeds: int
    crops: dict[int, int]
    epochs: int
    photographs: int
    judged_photographs: int
    mining_photographs: int


SIZES: dict[str, Size] = {
    "quick": Size(1, {12: 12_000, 24: 6_000, 48: 1_500, 64: 1_000}, 3, 250, 12, 20),
    "standard": Size(3, {12: 240_000, 24: 96_000, 48: 36_000, 64: 36_000}, 12, 0, 150, 300),
    "full": Size(5, {12: 2_000_000, 24: 2_000_000, 48: 2_000_000, 64: 2_000_000}, 40, 0, 1_000, 5_000),
}
# The share of the training groups in the small set.
SMALL_SHARE = 0.125
