"""The cascade of nets that find boxes, and its `.cascade` file: the same boxes with and without torch."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch

from deepevent_trainer import box_cascade
from deepevent_trainer.cascade_file import CascadeFileInvalid, read_cascade, write_cascade
from deepevent_trainer.cascade_training import judges_of
from deepevent_trainer.export_model import model_of
from deepevent_trainer.networks import build_network, describe
from deepevent_trainer.recipes import CASCADES
from deepevent_trainer.runtime import Detector

# What float32 sums in another order may differ by, in pixels and in score.
BOX_TOLERANCE_PX = 0.05
SCORE_TOLERANCE = 1e-3


@pytest.fixture(scope="module")
def networks():
    torch.manual_seed(3)
    return [build_network(name, "best").eval() for name in CASCADES["best"]]


@pytest.fixture(scope="module")
def thresholds(networks):
    """Untrained nets answer about a half everywhere: these let some windows pass and stop others."""
    image = np.random.default_rng(1).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    found = {}
    for index, network in enumerate(networks):
        judges = judges_of(networks[: index + 1], {**found, network.name: 0.0})
        scores = next(box_cascade.pipeline([image], judges, 24)).scores
        found[network.name] = float(np.quantile(scores, 0.5)) if len(scores) else 0.0
    return found


@pytest.fixture(scope="module")
def model_file(networks, thresholds, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "best.cascade"
    write_cascade(path, model_of(networks, thresholds, {"data": "none: untrained"}))
    return path


def test_a_window_and_its_mirror_image_are_judged_alike(networks):
    """The last net's answer for a mirrored window is the mirrored answer: same score, edges changed over."""
    judge = box_cascade.mirrored_too(judges_of(networks, dict.fromkeys(CASCADES["best"], 0.5))[-1].judge)
    pixels = np.random.default_rng(4).integers(0, 255, (3, 48, 48), dtype=np.uint8)
    answers, mirrored = judge(pixels), judge(pixels[:, :, ::-1])
    np.testing.assert_allclose(answers[:, :2], mirrored[:, :2], atol=1e-5)
    np.testing.assert_allclose(answers[:, 2:], mirrored[:, [4, 3, 2, 5]] * [-1, 1, -1, 1], atol=1e-5)
    assert answers[:, :2].sum(axis=1) == pytest.approx(1.0)


@pytest.mark.parametrize("shape", [(90, 140, 3), (64, 64), (24, 24, 3), (11, 300, 3), (1, 1, 3)])
def test_onnx_finds_what_torch_finds(networks, thresholds, model_file, shape):
    """The detector without torch gives the boxes of the PyTorch pipeline, within the stated tolerance."""
    image = np.random.default_rng(7).integers(0, 255, shape, dtype=np.uint8)
    expected = next(box_cascade.pipeline([image], judges_of(networks, thresholds), 24))
    boxes, scores = Detector(model_file, min_face=24).detect(image)
    assert len(boxes) == len(expected.boxes)
    np.testing.assert_allclose(boxes, expected.boxes, atol=BOX_TOLERANCE_PX)
    np.testing.assert_allclose(scores, expected.scores, atol=SCORE_TOLERANCE)


def test_every_window_knows_its_parent(model_file):
    """Each stage's parents name boxes of the stage before it."""
    image = np.random.default_rng(5).integers(0, 255, (100, 100, 3), dtype=np.uint8)
    stages = Detector(model_file).explain(image).stages
    assert len(stages) > len(CASCADES["best"])
    for before, after in itertools.pairwise(stages):
        assert len(after.parents) == len(after.boxes)
        assert all(0 <= parent < len(before.boxes) for parent in after.parents)


def test_an_image_of_another_kind_is_refused(model_file):
    """A float image gets a sentence, not a wrong answer."""
    from deepevent.errors import SettingsError

    with pytest.raises(SettingsError, match="uint8"):
        Detector(model_file).detect(np.zeros((50, 50, 3), dtype=np.float32))


def test_the_card_comes_back(model_file):
    """Thresholds and model card survive the way through the file."""
    assert read_cascade(model_file).card == {"data": "none: untrained"}


def test_a_hostile_file_is_refused(model_file, tmp_path):
    """What is no cascade file, or promises absurd sizes, is refused with a sentence."""
    nothing = tmp_path / "nothing.cascade"
    with pytest.raises(CascadeFileInvalid, match="there is no"):
        read_cascade(nothing)
    nothing.write_bytes(b"PK\x03\x04 not a zip")
    with pytest.raises(CascadeFileInvalid, match="not a cascade file"):
        read_cascade(nothing)
    with zipfile.ZipFile(model_file) as archive:
        head = json.loads(archive.read("model.json"))
    head["stages"][0]["size_px"] = 10**9
    broken = tmp_path / "broken.cascade"
    with zipfile.ZipFile(broken, "w") as archive:
        archive.writestr("model.json", json.dumps(head))
    with pytest.raises(CascadeFileInvalid, match="size_px"):
        read_cascade(broken)
    bomb = tmp_path / "bomb.cascade"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.json", b" " * (65 << 20))
    with pytest.raises(CascadeFileInvalid, match="unpacks to"):
        read_cascade(bomb)


def test_the_detector_never_loads_torch():
    """Importing the detector brings ONNX Runtime and OpenCV, and no torch."""
    code = "import sys; from deepevent_trainer import Detector; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("recipe", sorted(CASCADES))
def test_every_net_of_a_recipe_answers(recipe):
    """Each net takes its window and answers its classes, and the box if it finds one."""
    for name in CASCADES[recipe]:
        network = build_network(name, recipe).eval()
        pixels = torch.zeros(3, network.plan.planes, network.size_px, network.size_px)
        with torch.no_grad():
            answers = network(pixels)
        assert answers.reshape(3, -1).shape[1] == network.plan.n_outputs
        assert "parameters" in describe(network)
