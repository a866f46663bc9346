"""Run one detector, in its own environment, on one thread, for as long as lines come in.

    python worker.py ADAPTER

Each line on stdin is a request, each answer a line on stdout; what a library prints goes to stderr.

* `{"do": "make", "min_face_px", "longest_side", "model"}` makes the detector for that smallest face;
* `{"do": "detect", "min_face_px", "images": [{"name", "path"}…], "longest_side", "answer"}` writes what it
  finds to the file `answer`, as `deepevent evaluate --detections` reads it;
* `{"do": "time", "min_face_px", "images": [PATH…], "size": [W, H]}` answers the milliseconds of each picture
  cut to that size, `wall` by the clock and `processor` of this process with all of its threads.

An answer may be `{"not_measured": why}`. An adapter is a file of this folder with `make(min_face_px,
longest_side, model)`, which returns `detect(rgb)` -> boxes `x1, y1, x2, y2` and scores. Only NumPy and OpenCV
are asked of the environment.
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


def read(path):
    """Return a picture, RGB."""
    image = cv2.imread(path, cv2.IMREAD_COLOR)
    if image is None:
        raise NotMeasured(f"cannot read {path}")
    return image[..., ::-1]


def resized(image, factor):
    """Return a picture scaled, down by area and up between pixels."""
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
    return np.ascontiguousarray(cv2.resize(np.ascontiguousarray(image), size, interpolation=method))


def cut(image, size):
    """Return the middle of a picture, scaled so that it fills `size`."""
    width, height = size
    image = resized(image, max(width / image.shape[1], height / image.shape[0]))
    image = cv2.resize(image, (max(width, image.shape[1]), max(height, image.shape[0])))
    left, top = (image.shape[1] - width) // 2, (image.shape[0] - height) // 2
    return np.ascontiguousarray(image[top : top + height, left : left + width])


def detections(detect, request):
    """Return what the detector finds in each picture, in its own pixels."""
    found = {}
    for image in request["images"]:
        pixels = read(image["path"])
        factor = request["longest_side"] / max(pixels.shape[:2])
        boxes, scores = detect(resized(pixels, factor))
        boxes = np.asarray(boxes, dtype=float).reshape(-1, 4) / factor
        scores = np.asarray(scores, dtype=float).reshape(-1)
        found[image["name"]] = {"boxes": boxes.tolist(), "scores": scores.tolist()}
    return found


def times(detect, request):
    """Return the milliseconds of each picture."""
    images = [cut(read(path), request["size"]) for path in request["images"]]
    detect(images[0])  # the first call after a pause finds cold caches
    wall, processor = [], []
    for image in images:
        started, started_cpu = time.perf_counter(), time.process_time()
        detect(image)
        processor.append((time.process_time() - started_cpu) * 1000)
        wall.append((time.perf_counter() - started) * 1000)
    return {"wall": wall, "processor": processor}


def main():
    """Answer requests until there are no more."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    name, detectors = sys.argv[1], {}
    for line in sys.stdin:
        request = json.loads(line)
        px = request["min_face_px"]
        try:
            if request["do"] == "make":
                detectors[px] = load(name).make(px, request["longest_side"], request["model"])
                answer = {}
            elif request["do"] == "detect":
                content = {"detector": name, "detections": detections(detectors[px], request)}
                Path(request["answer"]).write_text(json.dumps(content))
                answer = {}
            else:
                answer = times(detectors[px], request)
        except ImportError as error:
            answer = {"not_measured": f"{name}: {error}"}
        except NotMeasured as error:
            answer = {"not_measured": str(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
