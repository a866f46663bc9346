"""dlib's frontal face detector: histograms of gradients and a linear SVM (King 2009, 2015).

It finds faces from 80 pixels; smaller ones on a picture that is enlarged twofold, once or twice.
"""

import math

import dlib
import numpy as np

SMALLEST_PX = 80
THRESHOLD = -0.3


def make(min_face_px, longest_side, model):
    """Return the detector."""
    detector = dlib.get_frontal_face_detector()
    upsample = max(0, math.ceil(math.log2(SMALLEST_PX / min_face_px)))

    def detect(image):
        found, scores, _ = detector.run(image, upsample, THRESHOLD)
        boxes = [[one.left(), one.top(), one.right() + 1, one.bottom() + 1] for one in found]
        return np.array(boxes, dtype=float).reshape(-1, 4), np.array(scores)

    return detect
