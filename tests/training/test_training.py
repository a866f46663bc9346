"""Training: it learns, it goes on after a stop as if there had been none, it says what went wrong."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deepevent.errors import CheckpointInvalid, NonFiniteLoss, SettingsError
from deepevent.media import encode_figure
from deepevent_trainer import checkpoint
from deepevent_trainer.data import crops
from deepevent_trainer.data.batches import Batch
from deepevent_trainer.data.bundled import bundled_photographs
from deepevent_trainer.data.calibration_crops import CalibrationCrops
from deepevent_trainer.data.crops import Crops
from deepevent_trainer.data.detection_crops import DetectionCrops
from deepevent_trainer.data.photographs import Photograph
from deepevent_trainer.loop import Outcome, Schedule, train
from deepevent_trainer.losses import Rule
from deepevent_trainer.networks import Network, build_network
from deepevent_trainer.samples import CascadeSamples, choose


class Recorder:
    """A run that keeps what is logged, and asks to stop after a number of steps."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after = stop_after
        self.steps: dict[int, dict[str, float]] = {}
        self.epochs: dict[int, dict[str, float]] = {}
        self.detections: list[tuple[str, dict[str, Any]]] = []
        self.histograms: dict[str, np.ndarray] = {}
        self.figures: dict[tuple[str, int | None], Any] = {}

    def log(self, metrics: dict[str, float], step: int | None = None, epoch: int | None = None) -> None:
        if epoch is not None:
            self.epochs[epoch] = {name: value for name, value in metrics.items() if name != "crops_per_s"}
        elif step is not None:
            self.steps[step] = metrics

    def log_histogram(
        self, name: str, values: Any, step: int | None = None, *, epoch: int | None = None
    ) -> None:
        self.histograms[name] = values

    def log_figure(
        self, name: str, figure: object, step: int | None = None, epoch: int | None = None
    ) -> None:
        self.figures[name, epoch] = figure

    def log_detections(
        self,
        name: str,
        image: np.ndarray,
        detections: dict[str, Any],
        step: int | None = None,
        epoch: int | None = None,
    ) -> None:
        assert image.dtype == np.uint8
        self.detections.append((name, detections))

    @property
    def should_stop(self) -> bool:
        return self.stop_after is not None and len(self.steps) >= self.stop_after


@pytest.fixture(scope="module")
def scenes() -> list[Photograph]:
    return bundled_photographs()


@pytest.fixture(scope="module")
def handful(scenes: list[Photograph]) -> tuple[Crops, Crops]:
    """Some faces and some background of two scenes."""
    return crops.positives(scenes[:2], 12, 0), crops.negatives(scenes[:2], 12, 40, 0)


def detection(handful: tuple[Crops, Crops], crops_per_epoch: int = 256) -> DetectionCrops:
    return DetectionCrops(handful, handful, batch_size=32, crops_per_epoch=crops_per_epoch, seed=3)


def fit(
    source: DetectionCrops | CalibrationCrops,
    path: Path,
    *,
    name: str = "det12",
    epochs: int = 3,
    run: Recorder | None = None,
    seed: int = 0,
    rate: float = 0.05,
    batch_norm: bool = True,
    loss: Rule = "plain",
    mixed_precision: bool = False,
    resume: bool = False,
) -> tuple[Network, Recorder, Outcome]:
    """Train as the command does, from the seed on."""
    recorder = run or Recorder()
    torch.manual_seed(seed)
    network = build_network(name, batch_norm=batch_norm, colour="grey")
    outcome = train(
        network,
        source,
        Schedule(epochs, rate, seed=seed, loss=loss, mixed_precision=mixed_precision),
        recorder,
        save_to=path,
        resume_from=checkpoint.load(path) if resume else None,
    )
    return network, recorder, outcome


def weights(network: Network) -> dict[str, torch.Tensor]:
    return network.state_dict()


def same(one: Network, two: Network) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(one).values(), weights(two).values(), strict=True))


def test_det12_learns_a_handful_of_faces_by_heart(handful: tuple[Crops, Crops], tmp_path: Path) -> None:
    """After seconds, every one of these faces and background windows is told right."""
    _, recorder, outcome = fit(detection(handful, 2048), tmp_path / "det12.pt", epochs=12)
    assert outcome.measures["val/accuracy"] >= 0.98
    assert recorder.epochs[12]["val/loss"] < recorder.epochs[1]["val/loss"]
    assert 0 < outcome.measures["val/threshold_at_99_recall"] < 1


@pytest.mark.parametrize("loss", ["ohem", "focal"])
def test_it_learns_by_hard_windows_too(handful: tuple[Crops, Crops], tmp_path: Path, loss: Rule) -> None:
    """With either rule that favours hard windows the handful is learnt as well."""
    _, _, outcome = fit(detection(handful, 1024), tmp_path / "det12.pt", epochs=4, loss=loss)
    assert outcome.measures["val/accuracy"] >= 0.9


def test_mixed_precision_learns_and_goes_on_bit_for_bit(handful: tuple[Crops, Crops], tmp_path: Path) -> None:
    """Weights stay float32, figures near those of float32, and a resumed training equals a whole one."""
    mixed, recorder, _ = fit(detection(handful), tmp_path / "a.pt", mixed_precision=True)
    plain, full, _ = fit(detection(handful), tmp_path / "b.pt")
    assert not same(mixed, plain)
    assert {weight.dtype for weight in weights(mixed).values()} <= {torch.float32, torch.int64}
    assert recorder.epochs[3]["val/loss"] == pytest.approx(full.epochs[3]["val/loss"], abs=0.1)
    fit(detection(handful), tmp_path / "c.pt", mixed_precision=True, run=Recorder(11))
    resumed, _, _ = fit(detection(handful), tmp_path / "c.pt", mixed_precision=True, resume=True)
    assert same(mixed, resumed)


def test_each_epoch_shows_curve_and_distributions(handful: tuple[Crops, Crops], tmp_path: Path) -> None:
    """A ROC curve that the page can draw, scores of faces and background apart, and every layer's weights."""
    network, recorder, outcome = fit(detection(handful), tmp_path / "a.pt", epochs=2)
    data, mime = encode_figure(recorder.figures["val/roc", 2])
    assert mime == "application/vnd.plotly.v1+json"
    (curve,) = json.loads(data)["data"]
    assert (curve["x"][0], curve["y"][0], curve["x"][-1], curve["y"][-1]) == (0, 0, 1, 1)
    assert np.trapezoid(curve["y"], curve["x"]) == pytest.approx(outcome.measures["val/roc_area"], abs=0.01)
    shown = recorder.histograms
    assert len(shown["val/face_scores"]) == len(handful[0])
    assert shown["val/face_scores"].mean() > shown["val/background_scores"].mean()
    layers = {f"weights/{name}" for name, weight in network.named_parameters() if weight.dim() > 1}
    assert layers <= set(shown)


def test_cal12_learns_to_move_windows_onto_their_faces(handful: tuple[Crops, Crops], tmp_path: Path) -> None:
    """Calibration brings moved windows of these faces much closer."""
    source = CalibrationCrops(handful[0], handful[0], batch_size=64, crops_per_epoch=4096, seed=1)
    _, _, outcome = fit(source, tmp_path / "cal12.pt", name="cal12", epochs=8)
    measures = outcome.measures
    assert measures["val/accuracy"] > 0.3
    assert measures["val/centre_error_px_after"] < 0.6 * measures["val/centre_error_px_before"]
    assert measures["val/iou_after"] > measures["val/iou_before"] + 0.1


@pytest.mark.parametrize("stop_after", [3, 8, 11])
@pytest.mark.parametrize("name", ["det12", "cal12"])
def test_a_stopped_training_that_goes_on_equals_one_that_was_not(
    handful: tuple[Crops, Crops], tmp_path: Path, name: str, stop_after: int
) -> None:
    """In the middle of an epoch or at its end: the same weights bit for bit, and the same figures logged."""
    if name == "det12":
        source: DetectionCrops | CalibrationCrops = detection(handful)
    else:
        source = CalibrationCrops(handful[0], handful[0], batch_size=32, crops_per_epoch=256, seed=1)
    assert source.n_batches == 8
    whole, recorder, _ = fit(source, tmp_path / "whole.pt", name=name, batch_norm=name == "det12")
    _, before, outcome = fit(
        source, tmp_path / "cut.pt", name=name, batch_norm=name == "det12", run=Recorder(stop_after)
    )
    assert outcome.status == "stopped"
    resumed, after, outcome = fit(
        source, tmp_path / "cut.pt", name=name, batch_norm=name == "det12", resume=True
    )
    assert outcome.status == "completed"
    assert same(whole, resumed)
    assert {**before.steps, **after.steps} == recorder.steps
    assert {**before.epochs, **after.epochs} == recorder.epochs


def test_the_same_seed_gives_the_same_weights_and_another_others(
    handful: tuple[Crops, Crops], tmp_path: Path
) -> None:
    """Nothing is random but by the seed."""
    one, two = (fit(detection(handful), tmp_path / "a.pt", epochs=1)[0] for _ in range(2))
    other = fit(detection(handful), tmp_path / "a.pt", epochs=1, seed=1)[0]
    assert same(one, two)
    assert not same(one, other)


def test_a_finished_training_resumed_does_nothing(handful: tuple[Crops, Crops], tmp_path: Path) -> None:
    """It reports its last figures and keeps its weights."""
    done, _, first = fit(detection(handful), tmp_path / "a.pt", epochs=1)
    again, recorder, second = fit(detection(handful), tmp_path / "a.pt", epochs=1, resume=True)
    assert same(done, again)
    assert not recorder.steps
    assert first.measures == second.measures


def test_a_checkpoint_of_another_training_is_refused(handful: tuple[Crops, Crops], tmp_path: Path) -> None:
    """What differs is named, and a broken or missing file is told."""
    path = tmp_path / "a.pt"
    fit(detection(handful), path, epochs=1)
    with pytest.raises(CheckpointInvalid, match=r"schedule was .*'epochs': 1.* and is now .*'epochs': 2"):
        fit(detection(handful), path, epochs=2, resume=True)
    with pytest.raises(CheckpointInvalid, match="net was 'det12' and is now 'cal12'"):
        fit(detection(handful), path, name="cal12", epochs=1, resume=True)
    with pytest.raises(CheckpointInvalid, match="there is no checkpoint"):
        checkpoint.load(tmp_path / "none.pt")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointInvalid, match="is not a checkpoint of this program"):
        checkpoint.load(path)


def test_a_checkpoint_cannot_run_code(tmp_path: Path) -> None:
    """A pickle that would call something is refused, and nothing is called."""

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "called",))

    torch.save({"format": 1, "weights": Trap()}, tmp_path / "trap.pt")
    with pytest.raises(CheckpointInvalid):
        checkpoint.load(tmp_path / "trap.pt")
    assert not (tmp_path / "called").exists()


def test_a_loss_that_is_not_finite_names_its_place(handful: tuple[Crops, Crops], tmp_path: Path) -> None:
    """An exception with net, step and batch; the checkpoint of the last good epoch stays."""

    class Poisoned(DetectionCrops):
        def epoch(self, epoch: int, first_batch: int = 0, stride: int = 1) -> Iterator[Batch]:
            for number, batch in enumerate(super().epoch(epoch, first_batch), first_batch):
                bad = epoch == 1 and number == 2
                yield Batch(batch.pixels * float("nan"), batch.targets) if bad else batch

    source = Poisoned(handful, handful, batch_size=32, crops_per_epoch=256, seed=3)
    with pytest.raises(NonFiniteLoss, match="loss of det12 became nan at step 10, batch 2") as caught:
        fit(source, tmp_path / "a.pt")
    assert (caught.value.net, caught.value.step, caught.value.batch) == ("det12", 10, 2)
    assert checkpoint.load(tmp_path / "a.pt")["progress"]["epoch"] == 1


def test_settings_that_cannot_be_used_are_all_told() -> None:
    """One message for all problems of a schedule; a source without crops or with no room for two says so."""
    with pytest.raises(SettingsError, match=r"epochs must be at least 1, got 0; learning_rate must be > 0"):
        Schedule(0, -0.1)
    none = crops.positives([], 12, 0)
    with pytest.raises(SettingsError, match="training photographs give no face of 12 px or more"):
        DetectionCrops((none, none), (none, none), batch_size=8, crops_per_epoch=8, seed=0)
    with pytest.raises(SettingsError, match="training photographs give no face"):
        CalibrationCrops(none, none, batch_size=8, crops_per_epoch=8, seed=0)


def test_an_epoch_shows_every_face_and_class_equally_often(handful: tuple[Crops, Crops]) -> None:
    """Classes of one epoch are even, and batch 3 is the same alone as behind the others."""
    source = CalibrationCrops(handful[0], handful[0], batch_size=45, crops_per_epoch=450, seed=1)
    batches = list(source.epoch(2))
    counts = np.bincount(torch.cat([batch.targets for batch in batches]).numpy(), minlength=45)
    assert counts.tolist() == [10] * 45
    alone = next(source.epoch(2, first_batch=3))
    assert torch.equal(alone.pixels, batches[3].pixels)
    assert sum(len(batch.targets) for batch in source.validation()) == 45 * len(handful[0])


def test_samples_show_the_cascade_so_far(scenes: list[Photograph], tmp_path: Path) -> None:
    """det12 alone, then cal12 behind it: parents in the stage before, truth scaled along."""
    torch.manual_seed(0)
    detector, calibrator = build_network("det12").eval(), build_network("cal12").eval()
    chosen = choose([photograph for photograph in scenes if photograph.split == "val"], 0)
    assert [photograph.path is not None for photograph in chosen] == [True, True, False, False]
    for network, before in ((detector, None), (calibrator, (detector, 0.4))):
        samples = CascadeSamples(chosen, training_names=frozenset(), min_face_px=40, detector=before)
        stages = [[stage["name"] for stage in logged["stages"]] for _, _, logged in samples(network, {})]
        expected = ["det12", "suppress12"] if before is None else ["det12", "cal12", "suppress12"]
        assert stages == [expected] * 4
    for _, image, logged in samples(calibrator, {}):
        truth = np.array(logged["truth"])
        assert (truth[:, 2] <= image.shape[1]).all()
        for stage, above in zip(logged["stages"][1:], logged["stages"], strict=False):
            assert all(0 <= parent < len(above["boxes"]) for parent in stage["parents"])
