"""`deepevent evaluate`: from a folder and detections, or a detector, to figures."""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from deepevent.errors import DataSetError, SettingsError
from deepevent_trainer import evaluate_command
from deepevent_trainer.boxes import as_boxes
from deepevent_trainer.data.photographs import Photograph
from deepevent_trainer.evaluation.detections_file import DetectionsFile, read_detections, write_detections
from deepevent_trainer.evaluation.detectors import load_detector, run_detector, scale_of, scaled
from deepevent_trainer.evaluation.matching import Detections


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    evaluate_command.configure(parser)
    return evaluate_command.execute(parser.parse_args(list(arguments)))


class BrightSpot:
    """A detector of white rectangles on black."""

    def detect(self, image: np.ndarray) -> tuple[list[list[float]], list[float]]:
        ys, xs = np.nonzero(image[..., 0] > 128)
        if len(xs) == 0:
            return [], []
        return [[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]], [0.9]


@pytest.fixture
def spots(tmp_path: Path) -> Path:
    """Ten pictures with one white face each, in our own layout."""
    folder = tmp_path / "spots"
    (folder / "images").mkdir(parents=True)
    rows = ["image,x,y,w,h,label"]
    for number in range(10):
        image = np.zeros((240, 320, 3), dtype=np.uint8)
        image[60:120, 40 + number : 90 + number] = 255
        cv2.imwrite(str(folder / "images" / f"{number}.png"), image)
        rows.append(f"{number}.png,{40 + number},60,50,60,face")
    (folder / "annotations.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_a_detector_is_run_timed_and_measured(
    spots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A right detector reaches 1.0 raw and fitted; what it found can be kept and measured again."""
    kept = tmp_path / "kept.json"
    detector = f"{__name__}:BrightSpot"
    assert run("--detector", detector, "--data", str(spots), "--json", "--save", str(kept)) == 0
    figures = json.loads(capsys.readouterr().out)
    assert [figures["rows"][0][key] for key in ("n_faces", "ap", "ap_fitted", "map")] == [10, 1.0, 1.0, 1.0]
    assert figures["median_ms"] > 0
    assert figures["rows"][3]["n_faces"] == 0
    assert figures["rows"][3]["ap"] is None
    assert run("--detections", str(kept), "--data", str(spots)) == 0
    text = capsys.readouterr().out
    assert "10 photographs" in text
    assert "median time" in text


def test_sizes_are_those_of_the_scaled_photograph(spots: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """At a longest side of 640 a face of 60 pixels in 320 counts as 120; boxes come back."""
    detector = f"{__name__}:BrightSpot"
    assert run("--detector", detector, "--data", str(spots), "--longest-side", "640", "--json") == 0
    rows = {row["sizes"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    assert rows[">= 80 px"]["n_faces"] == 10
    assert rows[">= 80 px"]["ap"] == 1.0
    assert rows["40-80 px"]["n_faces"] == 0


def test_fddb_gets_its_protocol(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A set with ellipses also prints the true-positive rates."""
    fold = "one/img_1\n1\n50 30 1.5707963 100 100 1\none/not_here\n0\n"
    (tmp_path / "FDDB-fold-01-ellipseList.txt.gz").write_bytes(gzip.compress(fold.encode()))
    (tmp_path / "one").mkdir()
    cv2.imwrite(str(tmp_path / "one" / "img_1.jpg"), np.zeros((200, 200, 3), dtype=np.uint8))
    found = tmp_path / "found.txt"
    found.write_text(
        json.dumps(
            {
                "detections": {
                    "one/img_1": {"boxes": [[70, 50, 130, 150]], "scores": [1]},
                    "no": {"boxes": [], "scores": []},
                }
            }
        )
    )
    assert run("--detections", str(found), "--data", str(tmp_path)) == 1
    assert "1 of the 2 images" in capsys.readouterr().err
    assert run("--detections", str(found), "--data", str(tmp_path), "--partial") == 0
    text = capsys.readouterr().out
    assert "discrete   1.000 at 1000  1.000 at 2000" in text
    assert "not in the set, 'no' first" in text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("not json", "expected JSON as"),
        ("[]", "expected JSON as"),
        ('{"detections": {"a": {"boxes": [[1, 2, 3]], "scores": [1]}}}', "'a' are broken"),
        ('{"detections": {"a": {"boxes": [[1, 2, 3, 4]]}}}', "'a' are broken"),
    ],
)
def test_a_broken_file_of_detections_is_named(tmp_path: Path, content: str, message: str) -> None:
    """The message shows the format, or the photograph that is wrong."""
    path = tmp_path / "found.json"
    path.write_text(content)
    with pytest.raises(DataSetError, match=message):
        read_detections(path)


def test_files_of_detections_round_trip(tmp_path: Path) -> None:
    """What is written is read again, empty photographs included."""
    made = DetectionsFile(
        {"a": Detections(as_boxes([[1, 2, 3, 4.5]]), np.array([0.25])), "b": Detections()},
        "mine 1",
        {"a": 2.0, "b": 4.0},
    )
    write_detections(tmp_path / "found.json", made)
    again = read_detections(tmp_path / "found.json")
    assert (again.detector, again.ms, again.median_ms()) == ("mine 1", {"a": 2.0, "b": 4.0}, 3.0)
    np.testing.assert_array_equal(again.detections["a"].boxes, made.detections["a"].boxes)
    assert len(again.detections["b"].boxes) == 0


@pytest.mark.parametrize(
    "name", ["nobody", "no.such.module:thing", "math:no_such_name", "datetime:timedelta"]
)
def test_a_detector_that_is_none_says_so(name: str, spots: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong name, module, factory or object is an error with its name; the command exits with 1."""
    with pytest.raises(SettingsError, match=name.partition(":")[0]):
        load_detector(name)
    assert run("--detector", name, "--data", str(spots)) == 1
    assert name in capsys.readouterr().err


def test_scaling_keeps_the_aspect_and_is_undone() -> None:
    """A picture of 100 by 40 at 50 is 50 by 20; its boxes come back in original pixels."""
    pixels = np.zeros((40, 100, 3), dtype=np.uint8)
    pixels[10:30, 20:60] = 255
    photograph = Photograph(name="a", pixels=pixels)
    small, factor = scaled(pixels, 50)
    assert (small.shape, factor, scale_of(photograph, 50), scale_of(photograph, None)) == (
        (20, 50, 3),
        0.5,
        0.5,
        1.0,
    )
    found = run_detector(BrightSpot(), [photograph], 50).detections["a"].boxes
    np.testing.assert_allclose(found, [[20, 10, 60, 30]])


def test_usage_is_checked(spots: Path) -> None:
    """A size of zero is a mistake of usage."""
    assert run("--detector", "cascade", "--data", str(spots), "--longest-side", "0") == 2
