from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy
import pytest

from deepevent.detections import plain_detections
from deepevent.media import encode_figure, encode_image, encode_png, histogram, shorten


def decode_png(data: bytes) -> Any:
    """Read a PNG with OpenCV, an implementation that is not ours."""
    cv2 = pytest.importorskip("cv2")
    return cv2.imdecode(numpy.frombuffer(data, numpy.uint8), cv2.IMREAD_UNCHANGED)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_png_is_what_other_readers_read(channels: int) -> None:
    """Pixels come back as they went in, for every number of channels."""
    generator = numpy.random.default_rng(channels)
    image = generator.integers(0, 256, (17, 23, channels), dtype=numpy.uint8)
    read = decode_png(encode_png(image))
    if channels >= 3:
        order = [2, 1, 0, 3][:channels]  # OpenCV holds blue first
        read = read[:, :, order]
    assert numpy.array_equal(read.reshape(image.shape), image)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (numpy.full((2, 3), 0.5), 128),
        (numpy.full((2, 3), 200.0), 200),
        (numpy.full((2, 3), 1), 1),
        (numpy.full((2, 3), True), 255),
        (numpy.full((2, 3), 300, numpy.int64), 255),
        (numpy.full((2, 3), numpy.nan), 0),
        (numpy.full((1, 5, 6), 0.0), 0),
        (numpy.full((1, 1, 5, 6), 1.0), 255),
    ],
)
def test_values_become_bytes(image: Any, expected: int) -> None:
    """Floats are 0 to 1, or 0 to 255 if anything is above 1; everything is clipped."""
    read = decode_png(encode_png(image))
    assert read.shape == image.shape[-2:]
    assert (read == expected).all()


def test_tensors_have_their_channels_first() -> None:
    """A tensor is (C, H, W), also where its width looks like channels."""
    torch = pytest.importorskip("torch")
    tensor = torch.zeros(3, 5, 4, requires_grad=True)
    assert decode_png(encode_png(tensor)).shape == (5, 4, 3)
    assert decode_png(encode_png(torch.zeros(4, 5, dtype=torch.bfloat16))).shape == (4, 5)


def test_files_and_pil_images(tmp_path: Any) -> None:
    """Files keep their bytes; a PIL image becomes a PNG."""
    path = tmp_path / "x.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0")
    assert encode_image(path) == (b"\xff\xd8\xff\xe0", "image/jpeg")
    assert encode_image(str(path))[1] == "image/jpeg"
    assert encode_image(b"RIFF\0\0\0\0WEBP")[1] == "image/webp"
    image_module = pytest.importorskip("PIL.Image")
    data, mime = encode_image(image_module.new("CMYK", (4, 3)))
    assert mime == "image/png"
    assert decode_png(data).shape == (3, 4, 3)


def test_svg_and_html_are_no_images(tmp_path: Any) -> None:
    """Only formats that a browser shows without running anything are taken."""
    path = tmp_path / "x.png"
    path.write_text("<svg onload=alert(1)>")
    with pytest.raises(ValueError, match="PNG, JPEG, GIF or WebP"):
        encode_image(path)


def test_our_png_is_small_for_flat_images() -> None:
    """The filter works: a gradient from top to bottom costs next to nothing."""
    image = numpy.tile(numpy.arange(200, dtype=numpy.uint8)[:, None], (1, 300))
    data = encode_png(image)
    assert len(data) < 2000
    (length,) = struct.unpack(">I", data[33:37])
    assert len(zlib.decompress(data[41 : 41 + length])) == 200 * 301


def test_histograms() -> None:
    """Counts cover all finite values, and the others are counted by themselves."""
    found = histogram([0.0, 1.0, 1.0, float("nan"), float("inf"), float("-inf")], 4)
    assert found["counts"] == [1, 0, 0, 2]
    assert found["edges"] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert (found["n"], found["nan"], found["positive_infinity"], found["negative_infinity"]) == (6, 1, 1, 1)
    assert histogram([], 2)["counts"] == [0, 0]


def test_texts_are_bounded() -> None:
    """A text is cut at 256 KiB, between characters."""
    assert shorten("short") == "short"
    cut = shorten("ü" * 200_000)
    assert len(cut.encode()) <= (256 << 10) + 3
    assert cut.endswith("ü…")


def test_figures() -> None:
    """Plotly figures keep their data, matplotlib figures become pictures."""
    graph_objects = pytest.importorskip("plotly.graph_objects")
    data, mime = encode_figure(graph_objects.Figure())
    assert mime == "application/vnd.plotly.v1+json"
    assert data.startswith(b"{")

    class Figure:
        def savefig(self, file: io.BytesIO, **_: object) -> None:
            file.write(b"\x89PNG")

    assert encode_figure(Figure()) == (b"\x89PNG", "image/png")


STAGE = {"name": "det12", "kind": "classify", "boxes": [[0, 0, 5, 5]], "scores": [0.5]}


@pytest.mark.parametrize(
    ("detections", "said"),
    [
        ([], "dict"),
        ({"stage": []}, "keys"),
        ({"stages": [{}]}, "stage 0"),
        ({"stages": [{**STAGE, "kind": "guess"}]}, "kind"),
        ({"stages": [{**STAGE, "boxes": [[0, 0, 5]]}]}, "four numbers"),
        ({"stages": [{**STAGE, "boxes": [[5, 0, 0, 5]]}]}, "x1 <= x2"),
        ({"stages": [{**STAGE, "boxes": [[0, 0, 5, float("nan")]]}]}, "finite"),
        ({"stages": [{**STAGE, "scores": [0.5, 0.6]}]}, "as many"),
        ({"stages": [{**STAGE, "parents": [0]}]}, "stage before"),
        ({"stages": [STAGE, {**STAGE, "parents": [1]}]}, "stage before"),
        ({"stages": [STAGE, {**STAGE, "parents": [0.5]}]}, "integers"),
        ({"truth": [["a", 0, 1, 1]]}, "numbers"),
        ({"truth": [[0, 0, 1, 1]], "stages": [{**STAGE, "face_scores": []}]}, "as many as the truth"),
        ({"truth": [[0, 0, 1, 1]], "stages": [{**STAGE, "face_scores": ["a"]}]}, "numbers"),
    ],
)
def test_detections_are_checked(detections: Any, said: str) -> None:
    """What does not fit is named with the stage in which it lies."""
    with pytest.raises((TypeError, ValueError), match=said):
        plain_detections(detections)


def test_detections_of_arrays() -> None:
    """Arrays stand for lists, and numbers are shortened to what a picture can show."""
    detections = {
        "truth": numpy.array([[1.23456, 2, 3, 4]]),
        "stages": [{**STAGE, "boxes": numpy.zeros((0, 4)), "scores": numpy.zeros(0)}],
    }
    plain = plain_detections(detections)
    assert plain["truth"] == [[1.23, 2.0, 3.0, 4.0]]
    assert plain["train"] is False
    assert plain["stages"] == [{"name": "det12", "kind": "classify", "boxes": [], "scores": []}]
