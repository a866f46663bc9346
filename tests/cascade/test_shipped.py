"""The cascade that ships: it finds a face, it is what PyTorch finds, and the commands that run it."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from skimage import data
from torch import nn

from deepevent.cli import main
from deepevent_trainer import Detector, box_cascade
from deepevent_trainer.boxes import iou, squared
from deepevent_trainer.cascade_training import judges_of
from deepevent_trainer.explain import explain
from deepevent_trainer.networks import Network, plan_of
from deepevent_trainer.runtime import CARRIED

# By hand, as the bundled data have it.
FACE = np.array([[173, 64, 276, 167]], dtype=np.float32)
MOST_BYTES = 5 * 10**6
BOX_TOLERANCE_PX, SCORE_TOLERANCE = 0.05, 1e-3


@pytest.fixture(scope="module")
def astronaut() -> NDArray[np.uint8]:
    """The portrait of Eileen Collins, 512 x 512, which the nets have not learnt from."""
    return np.asarray(data.astronaut(), dtype=np.uint8)


@pytest.fixture
def picture(astronaut: NDArray[np.uint8], tmp_path: Path) -> Path:
    """The portrait as a file."""
    path = tmp_path / "astronaut.png"
    cv2.imwrite(str(path), astronaut[..., ::-1])
    return path


@pytest.mark.parametrize("min_face", [24, 40, 80])
def test_the_shipped_detector_finds_the_astronaut(astronaut: NDArray[np.uint8], min_face: int) -> None:
    """Without any argument that names weights, the surest box lies on the face."""
    boxes, scores = Detector(min_face=min_face).detect(astronaut)
    assert len(boxes)
    assert max(iou(boxes[:1], FACE)[0, 0], iou(squared(boxes[:1]), FACE)[0, 0]) > 0.5
    assert (np.diff(scores) <= 0).all()
    assert CARRIED.stat().st_size < MOST_BYTES


def test_the_card_says_where_the_weights_come_from() -> None:
    """The file itself tells data, terms and the command, so that it can be judged without the repository."""
    card = Detector().model.card
    assert {"data", "terms", "command"} <= set(card)


def test_torch_finds_the_same_boxes(astronaut: NDArray[np.uint8]) -> None:
    """The shipped nets, built again as torch nets, give the boxes of ONNX Runtime within the tolerance."""
    model = Detector().model
    networks, thresholds = [], {}
    for stage in model.stages:
        network = Network(replace(plan_of(stage.name, "best"), batch_norm=False), "best").eval()
        load(network, stage.onnx)
        networks.append(network)
        thresholds[stage.name] = stage.threshold
    expected = next(box_cascade.pipeline([astronaut], judges_of(networks, thresholds), 40))
    boxes, scores = Detector(min_face=40).detect(astronaut)
    np.testing.assert_allclose(boxes, expected.boxes, atol=BOX_TOLERANCE_PX)
    np.testing.assert_allclose(scores, expected.scores, atol=SCORE_TOLERANCE)


def load(network: Network, content: bytes) -> None:
    """Give `network` the weights of an ONNX file, whose convolutions hold the normalisations."""
    graph = onnx.load_from_string(content).graph
    values = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    origin = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Flatten"}
    layers = [layer for layer in network.layers if isinstance(layer, nn.Conv2d)]
    nodes = [node for node in graph.node if node.op_type in ("Conv", "Gemm")]
    with torch.no_grad():
        for layer, node in zip(layers, nodes, strict=True):
            weight, bias = (values[origin.get(name, name)] for name in node.input[1:3])
            layer.weight.copy_(torch.from_numpy(weight.copy()).view_as(layer.weight))
            assert layer.bias is not None
            layer.bias.copy_(torch.from_numpy(bias.copy()))


def test_detect_prints_and_draws(picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`detect` prints boxes as text or JSON, and draws them into a copy of the picture."""
    drawn = tmp_path / "out" / "drawn.png"
    assert main(["detect", str(picture), "--json", "--explain", "--draw", str(drawn)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["boxes"]) == len(told["scores"]) >= 1
    assert told["stages"][0]["stage"] == "det12"
    assert told["stages"][0]["seen"] > told["stages"][-1]["kept"]
    before, after = cv2.imread(str(picture)), cv2.imread(str(drawn))
    assert before is not None
    assert after is not None
    assert after.shape == before.shape
    assert (after != before).any()
    assert main(["detect", str(picture)]) == 0
    assert "score" in capsys.readouterr().out


def test_detect_takes_folders_and_videos(
    astronaut: NDArray[np.uint8], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder gives a line a picture, in order, empty ones too; a video one a frame, drawn as a video."""
    small = cv2.resize(astronaut, (256, 256), interpolation=cv2.INTER_AREA)[..., ::-1]
    folder = tmp_path / "pictures"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), small)
    cv2.imwrite(str(folder / "b.png"), np.zeros((100, 100, 3), dtype=np.uint8))
    assert main(["detect", str(folder), "--json", "--draw", str(tmp_path / "drawn")]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(one["image"]).name for one in told] == ["a.png", "b.png"]
    assert [bool(one["boxes"]) for one in told] == [True, False]
    assert sorted(file.name for file in (tmp_path / "drawn").iterdir()) == ["a.png", "b.png"]

    film = tmp_path / "film.mp4"
    writer = cv2.VideoWriter(str(film), cv2.VideoWriter.fourcc(*"mp4v"), 5, (256, 256))
    for _ in range(3):
        writer.write(np.ascontiguousarray(small))
    writer.release()
    assert main(["detect", str(film), "--json", "--draw", str(tmp_path / "drawn.mp4")]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["image"].rpartition("#")[2] for one in told] == ["0", "1", "2"]
    assert all(one["boxes"] for one in told)
    assert (tmp_path / "drawn.mp4").stat().st_size > 0


@pytest.mark.parametrize(
    ("what", "sentence"),
    [("camera:97", "there is no camera 97"), ("nothing.png", "there is no file"), (".", "no picture in it")],
)
def test_what_cannot_be_searched_is_said(
    what: str,
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A missing camera, a missing file and a folder without pictures each get one sentence."""
    monkeypatch.chdir(tmp_path)
    assert main(["detect", what]) == 1
    assert sentence in capsys.readouterr().err


def test_explain_follows_each_face(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A found face is followed to its box; a place without one is ended by a stage, with its rule."""
    asked = ["--box", "173,64,276,167", "--box", "20,400,60,440"]
    assert main(["explain", str(picture), "--json", *asked]) == 0
    told = json.loads(capsys.readouterr().out)
    found, missed = told["faces"]
    assert found["found"]
    assert found["ended_by"] is None
    assert found["stages"][0]["stage"] == "det12"
    assert found["stages"][-1]["iou"] >= 0.5
    assert not missed["found"]
    assert missed["ended_by"] in {stage["stage"] for stage in missed["stages"]}
    assert missed["rule"]
    assert main(["explain", str(picture), *asked]) == 0
    assert "ended by" in capsys.readouterr().out


def test_explain_names_the_score_that_was_too_low(astronaut: NDArray[np.uint8]) -> None:
    """A face that the last stage refuses is told with its score and the score asked for."""
    strict = Detector(min_face=80, threshold=1.0)
    (fate,) = explain(strict, astronaut, FACE).fates
    assert fate.ended_by == "det48"
    assert "1.000 is asked for" in fate.rule


def test_what_explain_gives_can_be_logged(astronaut: NDArray[np.uint8]) -> None:
    """The stages of an explanation are what `log_detections` takes, the faces asked for as truth."""
    from deepevent.detections import plain_detections

    plain = plain_detections(explain(Detector(min_face=80), astronaut, FACE).detections)
    assert plain["truth"] == FACE.tolist()


@pytest.mark.parametrize("box", ["1,2,3", "5,5,1,1", "a,b,c,d", "nan,0,1,1"])
def test_a_wrong_box_is_refused(picture: Path, box: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A box that is none gets one sentence."""
    assert main(["explain", str(picture), "--box", box]) == 1
    assert "--box must be" in capsys.readouterr().err


def test_the_weights_are_one_plain_file() -> None:
    """Nothing in the shipped file could run: JSON and ONNX alone."""
    with zipfile.ZipFile(CARRIED) as archive:
        assert {Path(name).suffix for name in archive.namelist()} == {".json", ".onnx"}
