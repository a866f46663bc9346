"""C: too large, too many, too deep, and what unfolds into it."""

from __future__ import annotations

import gzip
import hashlib
import json
import struct
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from deepevent import wire
from deepevent.ids import new_id
from deepevent_web.limits import LIMITS

pytestmark = pytest.mark.usefixtures("unharmed")

MIB = 1 << 20
MOST_GROWTH_BYTES = 100 * MIB
BATCH = {"Content-Type": wire.CONTENT_TYPE}
JSON = {"Content-Type": "application/json"}


def test_a_huge_tag_is_too_large(operator: Any, new_run: Callable[..., str]) -> None:
    """C1: ten megabytes of tag are a 413 by the body's limit, a little less a 422 by the tag's."""
    run, huge = new_run(), {"tags": ["x" * (10 * MIB)]}
    assert operator.call("PATCH", f"/runs/{run}", json=huge).status_code == 413
    assert operator.events({"type": "tags", **huge}, run=run).status_code == 413
    assert operator.call("PATCH", f"/runs/{run}", json={"tags": ["x" * 251]}).status_code == 422
    assert operator.call("PATCH", f"/runs/{run}", json={"tags": ["x" * 250]}).status_code == 200


def test_bodies_end_at_their_limit(operator: Any) -> None:
    """C2: one byte over the limit is a 413; at the limit the content decides."""
    for path, limit, good in (("/runs", LIMITS.json_bytes, 201), ("/events", LIMITS.event_bytes, 422)):
        for size, status in ((limit, good), (limit + 1, 413)):
            body = b'{"name": "x"' + b" " * (size - 13) + b"}"
            assert operator.call("POST", path, data=body, headers=JSON).status_code == status, (path, size)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "gzip, gzip", "x-gzip"])
def test_compressed_bodies_are_not_inflated(operator: Any, memory: Any, target: Any, coding: str) -> None:
    """C3: 199 KiB that would be 200 MiB are a 415, and memory stays where it is."""
    before = memory(target)
    bomb = gzip.compress(b"\0" * (200 * MIB), 9) if coding == "gzip" else b"x"
    headers = {**JSON, "Content-Encoding": coding}
    assert operator.call("POST", "/runs", data=bomb, headers=headers).status_code == 415
    assert memory(target) - before < MOST_GROWTH_BYTES


@pytest.mark.parametrize(
    "announced", [wire.BATCH_BODY_LIMIT, wire.BATCH_BODY_LIMIT + 1, 200 * MIB, 2**32 - 1]
)
def test_a_batch_is_never_inflated_beyond_its_announcement(
    operator: Any, memory: Any, target: Any, announced: int
) -> None:
    """C3: a zlib stream that goes on behind what the header announces is a 422, unread."""
    bomb = zlib.compress(b"\0" * (300 * MIB), 6)
    run = new_id().encode()
    head = wire.BATCH_HEADER.pack(wire.BATCH_MAGIC, 1, 1, 128, 1, 1, announced, 0, 0, 1.0, run, run)
    before = memory(target)
    assert operator.call("POST", "/ingest", data=head + bomb, headers=BATCH).status_code == 422
    assert memory(target) - before < MOST_GROWTH_BYTES


def test_metrics_without_end_stop_at_the_limit(operator: Any) -> None:
    """C4: of 12,000 names in a run 10,000 are kept, the run says so, and known ones go on."""
    run = new_id()
    records, sequence = [wire.build_event(1, {"type": "run", "name": "many", "created": 1.0})], 2
    for start in range(0, 12_000, 3000):
        names = [f"m{number}" for number in range(start, start + 3000)]
        records += [wire.build_shape(sequence, start, names)]
        records += [wire.build_points(sequence + 1, start, 0, 1.0, [1.0] * 3000)]
        sequence += 2
    records += [wire.build_points(sequence, 0, 1, 2.0, [2.0] * 3000)]
    body = wire.encode(wire.build_batch(run, run, 1, records))
    assert operator.call("POST", "/ingest", data=body, headers=BATCH).status_code == 200
    metrics = operator.call("GET", f"/runs/{run}/metrics").json()["metrics"]
    assert len(metrics) == 10_000
    assert {metric["n"] for metric in metrics if int(metric["name"][1:]) < 3000} == {2}
    shown = operator.call("GET", f"/runs/{run}").json()
    assert len(shown["metrics"]) <= 50 or len(shown["metrics"]) == 10_000
    listed = operator.call("GET", "/runs?limit=5").json()["runs"]
    assert all(len(one["metrics"]) <= 50 for one in listed)


def test_lists_of_tags_end(operator: Any, new_run: Callable[..., str]) -> None:
    """C5: a hundred thousand tags are refused, both where a person and where a script sets them."""
    run, tags = new_run(), [f"t{number}" for number in range(100_000)]
    assert operator.call(
        "PATCH", f"/runs/{run}", data=json.dumps({"tags": tags}), headers=JSON
    ).status_code in (
        413,
        422,
    )
    assert operator.events({"type": "tags", "tags": tags}, run=run).status_code == 422


def test_questions_end(operator: Any) -> None:
    """C8, C9: curves of a thousand metrics and comparisons of a hundred runs, and not one more."""
    query, run = {"run": new_id(), "metric": "a"}, new_id()
    for n, status in ((1000, 200), (1001, 422)):
        assert operator.call("POST", "/curves", json={"queries": [query] * n}).status_code == status
    for n, status in ((100, 404), (101, 422), (500, 414)):
        wanted = ",".join([run] * n)
        assert operator.call("GET", f"/compare?runs={wanted}").status_code == status


def test_logs_come_in_pages(operator: Any, new_run: Callable[..., str]) -> None:
    """C10: of many lines some are answered, with where to go on; a page has a limit."""
    run = new_run()
    lines = [{"type": "log", "stream": "stdout", "text": f"line {n}"} for n in range(2000)]
    for part in range(3):
        assert operator.events(*lines, run=run).status_code == 200, part
    page = operator.call("GET", f"/runs/{run}/logs?limit=1000").json()
    assert len(page["lines"]) == 1000
    assert operator.call("GET", f"/runs/{run}/logs?after={page['next']}&limit=1").json()["lines"]
    assert operator.call("GET", f"/runs/{run}/logs?limit=100000").status_code == 422


def test_a_line_that_is_too_long_is_cut(operator: Any, new_run: Callable[..., str]) -> None:
    """C10, H7: a script does not lose its points over what it prints: the line is cut, and says so."""
    run = new_run()
    text = "\x1b]0;title\x07" + "x" * 200_000
    assert operator.events({"type": "log", "stream": "stdout", "text": text}, run=run).status_code == 200
    kept = operator.call("GET", f"/runs/{run}/logs").json()["lines"][0]["text"]
    assert len(kept) < LIMITS.text_characters + 100
    assert kept.endswith("characters cut)")


def _png(width: int, height: int, *chunks: bytes) -> bytes:
    head = struct.pack(">II5B", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", head)
        + b"".join(chunks)
        + _chunk(b"IDAT", b"")
        + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _gif(n_frames: int) -> bytes:
    frame = b"\x21\xf9\x04\0\0\0\0\0" + b"\x2c" + struct.pack("<4HB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
    return b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0, 0, 0) + frame * n_frames + b"\x3b"


def _jpeg(width: int, height: int) -> bytes:
    exif = b"\xff\xe1" + struct.pack(">H", 65535) + b"E" * 65533
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\x01\x11\0"
    return b"\xff\xd8" + exif * 2 + frame + b"\xff\xd9"


WEBP_VP8 = b"RIFF\x20\0\0\0WEBPVP8 \x14\0\0\0" + b"\0" * 6 + struct.pack("<HH", 100, 50) + b"\0" * 20
WEBP_MOVES = b"RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0" + b"\x0f\0\0\x0f\0\0" + b"\0" * 20

SHOWN = {
    "png": (_png(4000, 4000), "image/png"),
    "png with texts": (_png(10, 10, _chunk(b"zTXt", b"a\0\0" + zlib.compress(b"x" * MIB))), "image/png"),
    "apng": (_png(10, 10, _chunk(b"acTL", struct.pack(">II", 200, 0))), "image/png"),
    "gif": (_gif(200), "image/gif"),
    "jpeg behind metadata": (_jpeg(100, 50), "image/jpeg"),
    "webp": (WEBP_VP8, "image/webp"),
}
NOT_SHOWN = {
    "11 KiB that decode to 400 MB": (_png(10_000, 10_000), "image/png"),
    "more than 179 million pixels": (_png(20_000, 20_000), "image/png"),
    "nothing": (b"", "image/png"),
    "no size": (_png(0, 10), "image/png"),
    "a moving png": (_png(10, 10, _chunk(b"acTL", struct.pack(">II", 10_000, 0))), "image/png"),
    "a moving gif": (_gif(10_000), "image/gif"),
    "a moving webp": (WEBP_MOVES, "image/webp"),
    "a gif without an image": (b"GIF89a/*" + b"\0" * 10, "image/gif"),
    "a large jpeg": (_jpeg(60_000, 60_000), "image/jpeg"),
    "a cut jpeg": (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
    "a page": (b"<html><script>alert(1)</script>", "image/png"),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', "image/png"),
    "tiff": (b"II*\0" + b"\0" * 100, "image/png"),
    "jpeg by the name of png": (_jpeg(100, 50), "image/png"),
}


def _shown(operator: Any, content: bytes, mime: str) -> Any:
    address = f"/blobs/{hashlib.sha256(content).hexdigest()}"
    assert operator.call("PUT", address, data=content).status_code in (200, 201)
    whole = operator.call("GET", address)
    assert whole.content == content
    assert whole.headers["Content-Disposition"].startswith("attachment")
    return operator.call("GET", f"{address}?type={mime}")


@pytest.mark.parametrize("name", SHOWN)
def test_an_image_within_the_limits_is_shown(operator: Any, name: str) -> None:
    """C12, C13: at the limit of pixels and frames an image is served as what it is, and cannot be sniffed."""
    content, mime = SHOWN[name]
    answer = _shown(operator, content, mime)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, mime)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("name", NOT_SHOWN)
def test_an_image_that_would_go_off_is_an_attachment(
    operator: Any, memory: Any, target: Any, name: str
) -> None:
    """C12, C13: what has too many pixels or frames, or is no image, comes as an attachment alone."""
    before = memory(target)
    answer = _shown(operator, *NOT_SHOWN[name])
    assert answer.status_code == 422, name
    assert memory(target) - before < MOST_GROWTH_BYTES


def test_a_polyglot_is_no_script(operator: Any) -> None:
    """C13: a GIF that is JavaScript too comes as an image that no script element may run."""
    content = b"GIF89a=1;/*" + _gif(1)[11:] + b"*/alert(1)"
    address = f"/blobs/{hashlib.sha256(content).hexdigest()}"
    operator.call("PUT", address, data=content)
    answer = operator.call("GET", f"{address}?type=image/gif")
    assert answer.headers.get("X-Content-Type-Options") == "nosniff"
    assert answer.headers["Content-Type"] in ("image/gif", "application/problem+json")


@pytest.mark.parametrize(
    "box", [[0, 0, 1], [0, 0, 1, "x"], ["NaN", 0, 1, 1], "0,0,1,1", [[0, 0, 1, 1]], None]
)
def test_boxes_are_numbers(operator: Any, box: Any) -> None:
    """C14: boxes that are not four finite numbers are a 422."""
    data = {"truth": [box], "stages": []}
    event = {"type": "media", "kind": "detections", "name": "x", "step": 0, "data": data}
    assert operator.events(event).status_code == 422
    labelled = {"boxes": [{"box": [0, 0, 1, 1], "label": "a"}, {"box": box, "label": "b"}]}
    image = {"type": "media", "kind": "image", "name": "x", "step": 0, "data": labelled}
    assert operator.events(image).status_code == 422


def test_boxes_end(operator: Any, new_run: Callable[..., str]) -> None:
    """C14: a hundred thousand boxes on an image are too many; far outside of it they are just numbers."""
    run = new_run()

    def log(boxes: list[list[float]]) -> int:
        data = {"truth": [], "stages": [{"name": "a", "kind": "final", "boxes": boxes}]}
        event = {"type": "media", "kind": "detections", "name": "x", "step": 0, "data": data}
        return int(operator.events(event, run=run).status_code)

    assert log([[-1e9, -5, 1e9, 5]]) == 200
    assert log([[0, 0, 1, 1]] * 10_000) == 200
    assert log([[0, 0, 1, 1]] * 100_001) == 422
