"""Experiments: each trial once a seed, gone on with after a stop; a report that claims no more than is so."""

from __future__ import annotations

import json
import statistics

import numpy as np
import pytest
import torch

from deepevent.cli import main
from deepevent.errors import TrainingStopped
from deepevent_trainer.data.bundled import bundled_photographs
from deepevent_trainer.data.photographs import Photograph
from deepevent_trainer.data.split import Division, divide
from deepevent_trainer.experiments import report
from deepevent_trainer.experiments.cascades import ASKED, Row
from deepevent_trainer.experiments.catalogue import CASCADES, NETS, SIZES, Experiment, Size, Trial
from deepevent_trainer.experiments.trials import Result, Trials, small_part
from deepevent_trainer.networks import build_network
from deepevent_trainer.pyramid import crop_windows
from deepevent_trainer.reproduce import answer_questions, trials_of

TINY = Size(2, {12: 256, 24: 128, 48: 64, 64: 64}, 2, 0, 2, 2)
PAIR = {Trial("det12"): ("det12-data",), Trial("cal12"): ("cal12-data",)}


@pytest.fixture(scope="module")
def division():
    whole = divide(bundled_photographs(), 0)
    return Division(few(whole.training), few(whole.validation))


def few(photographs: list[Photograph]) -> list[Photograph]:
    """Return little pictures of 96 px, a face of 48 px in the middle of eight and none in four."""
    found: list[Photograph] = []
    for photograph in photographs:
        image = photograph.read()
        if len(photograph.faces) and len(found) < 8:
            x1, y1, x2, y2 = photograph.faces[0]
            middle, side = np.array([x1 + x2, y1 + y2]) / 2, max(x2 - x1, y2 - y1)
            pixels = crop_windows(image, np.array([[*(middle - side), *(middle + side)]]), 96)[0]
            found.append(Photograph(f"{len(found)}", None, np.array([[24.0, 24, 72, 72]]), pixels=pixels))
    free = [photograph for photograph in photographs if not len(photograph.faces)][:4]
    return found + [Photograph(p.name, None, pixels=p.read()[:96, :96].copy()) for p in free]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPEVENT_HOME", str(tmp_path / "home"))


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Batches as small as these gain nothing by more, and much is lost when the threads wait for a core."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_catalogue_names_nets_that_exist():
    """Every trial can be built, no two share a key, and every question has somebody to answer it."""
    trials = trials_of(list(NETS.values()))
    assert len({trial.key for trial in trials}) == len(trials)
    for trial in trials:
        network = build_network(trial.net, trial.recipe, batch_norm=trial.batch_norm)
        assert all(network.size_px in size.crops for size in SIZES.values())
    assert ASKED.keys() == CASCADES.keys()
    assert all(size.seeds >= 3 for name, size in SIZES.items() if name != "quick")


def test_shared_trial_is_trained_once(tmp_path, division):
    """A trial of two experiments stands once in the list, with both names."""
    wanted = trials_of([NETS["det48-data"], NETS["batch-norm"]])
    assert wanted[Trial("det48")] == ["det48-data", "batch-norm"]


def test_trials_go_on_where_they_were_stopped(tmp_path, division):
    """Stopped in the middle and started again, trials end in the very figures of an unbroken training."""
    whole = Trials(division, TINY, tmp_path / "whole", project="p").run(PAIR)
    calls = iter(range(10**6))
    stopping = Trials(division, TINY, tmp_path / "cut", project="p", stop=lambda: next(calls) >= 9)
    with pytest.raises(TrainingStopped, match="goes on from"):
        stopping.run(PAIR)
    resumed = Trials(division, TINY, tmp_path / "cut", project="p").run(PAIR)
    assert [(r.trial, r.seed) for r in resumed] == [(r.trial, r.seed) for r in whole]
    for one, other in zip(resumed, whole, strict=True):
        assert one.measures == other.measures
    assert len({r.run for r in whole}) == 4


def test_finished_trial_is_not_trained_again(tmp_path, division):
    """A second start takes the checkpoints as they are and makes no run."""
    first = Trials(division, TINY, tmp_path / "out", project="p").run(PAIR)
    again = Trials(division, TINY, tmp_path / "out", project="p", stop=lambda: True).run(PAIR)
    assert [r.run for r in again] == [r.run for r in first]


def test_small_part_is_a_part_by_group():
    """All of a group or none of it, about the share that was asked for."""
    photographs = [Photograph(f"{n}", group=f"g{n // 4}") for n in range(4000)]
    part = small_part(photographs, 0.125)
    assert 300 < len(part) < 700
    groups = {photograph.group for photograph in part}
    assert len(part) == 4 * len(groups)


@pytest.mark.parametrize(
    ("first", "other", "told"),
    [
        ([0.90, 0.91, 0.92], [0.95, 0.96, 0.97], "better"),
        ([0.95, 0.96, 0.97], [0.90, 0.91, 0.92], "worse"),
        ([0.90, 0.94, 0.98], [0.92, 0.95, 0.97], "no difference beyond"),
        ([0.90], [0.95], "not certain"),
    ],
)
def test_verdict_says_no_more_than_the_spread_allows(first, other, told):
    """Two means that the seeds' spread covers are not told apart."""
    assert told in report.verdict("accuracy", first, other)


def test_less_loss_is_better():
    """Falling measures are read the right way round."""
    assert "better" in report.verdict("loss", [0.5, 0.51], [0.1, 0.11])


def test_report_has_table_figure_and_sentences(tmp_path):
    """What was measured stands there with mean and spread; what was not is said to be missing."""
    small, large, lost = Trial("det12", data="small"), Trial("det12"), Trial("det24")
    experiment = Experiment(
        "det12-data", "More?", ("val/accuracy",), (("det12, s", small), ("det12, l", large), ("det24", lost))
    )
    values = {small: [0.80, 0.82], large: [0.90, 0.92]}
    results = [
        Result(trial, seed, {"val/accuracy": value}, "r")
        for trial, some in values.items()
        for seed, value in enumerate(some)
    ]
    rows = [Row("1 level", {"recall": 0.9, "windows/det12": 40.0}, "r")]
    path = tmp_path / "report.md"
    report.write_report(path, ["Facts."], TINY, [(experiment, results)], [("levels", rows)])
    text = path.read_text()
    mean, spread = statistics.fmean(values[large]), statistics.stdev(values[large])
    assert f"| det12, l | {mean:.4f} ± {spread:.4f} |" in text
    assert "| det24 | not measured |" in text
    assert "det12, l against det12, s: accuracy 0.1000 better" in text
    assert "- 1 level: det12 40.0" in text
    assert (tmp_path / "report" / "det12-data.png").read_bytes().startswith(b"\x89PNG")


def test_command_lists_what_it_would_train(capsys):
    """`--list` names every trial of the experiment and trains nothing."""
    assert main(["reproduce", "cal12-data", "--list"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "cal12-small: 3 seeds, for cal12-data",
        "cal12: 3 seeds, for cal12-data",
    ]


def test_questions_about_the_whole_cascade_are_answered(tmp_path, division):
    """The six nets are trained, mined for and asked; the answers are kept for the next start."""
    size = Size(1, {12: 256, 24: 128, 48: 64, 64: 64}, 1, 0, 2, 2)

    def answers():
        return answer_questions(["levels", "calibration-use"], division, size, tmp_path, "p", lambda: False)

    (first, levels), (second, uses) = answers()
    assert (first, second) == ("levels", "calibration-use")
    assert [row.label for row in levels] == ["1 level", "2 levels", "3 levels"]
    assert levels[0].measures["windows_seen"] > 0
    assert {"iou_before/cal12", "iou_after/cal48"} <= uses[0].measures.keys()
    kept = json.loads((tmp_path / "cascade" / "levels.json").read_text())
    assert [row["label"] for row in kept] == [row.label for row in levels]
    assert answers()[0][1] == levels
