"""Run one detector over a list of photographs, in its own environment, on one thread.

    python worker.py ADAPTER REQUEST.json ANSWER.json

The request: `{"images": [{"name", "path"}…], "longest_side", "min_face_px", "model"}`. The answer is a file
of detections as `deepevent evaluate --detections` reads it, with the time of each photograph, or
`{"not_measured": why}`. An adapter is a file of this folder with `make(min_face_px, longest_side, model)`,
which returns `detect(rgb)` -> boxes `x1, y1, x2, y2` and scores. Only NumPy and OpenCV are asked of the
environment.
"""

import importlib.util
import json
import os
import sys
import time
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import cv2  # noqa: E402 - the variables must stand before
import numpy as np  # noqa: E402

cv2.setNumThreads(1)


class NotMeasured(Exception):
    """The detector cannot take part, with the reason in one sentence."""


def load(name):
    """Return the module of an adapter."""
    sys.modules["worker"] = sys.modules["__main__"]
    spec = importlib.util.spec_from_file_location(f"adapter_{name}", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(path, longest_side):
    """Return an RGB picture scaled to `longest_side`, and the factor."""
    image = cv2.imread(path, cv2.IMREAD_COLOR)
    if image is None:
        raise NotMeasured(f"cannot read {path}")
    factor = longest_side / max(image.shape[:2])
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    size = (round(image.shape[1] * factor), round(image.shape[0] * factor))
    return np.ascontiguousarray(cv2.resize(image, size, interpolation=method)[..., ::-1]), factor


def main():
    """Measure what the request asks for."""
    adapter, request_path, answer_path = sys.argv[1:]
    request = json.loads(Path(request_path).read_text())
    try:
        answer = measure(adapter, request)
    except NotMeasured as error:
        answer = {"not_measured": str(error)}
    Path(answer_path).write_text(json.dumps(answer))


def measure(adapter, request):
    """Return the answer to a request."""
    side = request["longest_side"]
    try:
        detect = load(adapter).make(request["min_face_px"], side, request.get("model"))
    except ImportError as error:
        raise NotMeasured(f"{adapter}: {error}") from error
    detections, times = {}, {}
    for number, image in enumerate(request["images"]):
        pixels, factor = read(image["path"], side)
        if number == 0:
            detect(pixels)  # the first call sets things up
        started = time.perf_counter()
        boxes, scores = detect(pixels)
        times[image["name"]] = (time.perf_counter() - started) * 1000
        boxes = np.asarray(boxes, dtype=float).reshape(-1, 4) / factor
        scores = np.asarray(scores, dtype=float).reshape(-1)
        detections[image["name"]] = {"boxes": boxes.tolist(), "scores": scores.tolist()}
    return {"detector": adapter, "detections": detections, "ms": times}


if __name__ == "__main__":
    main()
