"""SCRFD (Guo et al. 2021) from its ONNX file, on ONNX Runtime.

Nine outputs (six without landmarks): scores, then distances to the four sides, each at strides 8, 16 and 32
with two anchors a cell.
"""

import numpy as np
import onnxruntime
from sizes import input_side, letterboxed, suppressed
from worker import NotMeasured

STRIDES, ANCHORS = (8, 16, 32), 2
THRESHOLD, SUPPRESSION = 0.02, 0.4


def make(min_face_px, longest_side, model):
    """Return the detector."""
    if model is None:
        raise NotMeasured("no path to its ONNX file was given")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0].name
    side = input_side(min_face_px)

    def detect(image):
        square, factor = letterboxed(image, side)
        tensor = ((square.astype(np.float32) - 127.5) / 128).transpose(2, 0, 1)[None]
        outputs = session.run(None, {entry: np.ascontiguousarray(tensor)})
        boxes, scores = decode(outputs, side)
        kept = suppressed(boxes, scores, SUPPRESSION)
        return boxes[kept] / factor, scores[kept]

    return detect


def decode(outputs, side):
    """Return all boxes above the threshold, in pixels of the input."""
    boxes, scores = [], []
    for level, stride in enumerate(STRIDES):
        score = outputs[level].reshape(-1)
        distance = outputs[level + len(STRIDES)].reshape(-1, 4) * stride
        cells = side // stride
        y, x = np.mgrid[:cells, :cells] * stride
        centre = np.repeat(np.stack([x, y], axis=-1).reshape(-1, 2), ANCHORS, axis=0)
        chosen = score >= THRESHOLD
        centre, distance = centre[chosen], distance[chosen]
        boxes.append(np.concatenate([centre - distance[:, :2], centre + distance[:, 2:]], axis=1))
        scores.append(score[chosen])
    return np.concatenate(boxes), np.concatenate(scores)
