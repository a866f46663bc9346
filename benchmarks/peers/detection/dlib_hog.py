"""dlib's frontal face detector: histograms of gradients and a linear SVM (King 2009, 2015).

It finds faces from 80 pixels; smaller ones on a picture that is enlarged twofold.
"""

import dlib
import numpy as np

SMALLEST_PX = 80
THRESHOLD = -0.3


def make(min_face_px, longest_side, model):
    """Return the detector."""
    detector = dlib.get_frontal_face_detector()
    upsample = 0 if min_face_px >= SMALLEST_PX else 1

    def detect(image):
        found, scores, _ = detector.run(image, upsample, THRESHOLD)
        boxes = [[one.left(), one.top(), one.right() + 1, one.bottom() + 1] for one in found]
        return np.array(boxes, dtype=float).reshape(-1, 4), np.array(scores)

    return detect
