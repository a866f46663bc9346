"""libfacedetection (Yu et al.): YuNet in 8 bits, compiled into C++, as the package `yuface` carries it.

The picture is shrunk so that the faces asked for have the size that the network was made for.
"""

import cv2
import numpy as np
import yuface
from sizes import input_side

THRESHOLD = 0.2


def make(min_face_px, longest_side, model):
    """Return the detector."""
    factor = input_side(min_face_px) / longest_side

    def detect(image):
        small = (
            image
            if factor == 1
            else cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        )
        scores, found, _ = yuface.detect(np.ascontiguousarray(small[..., ::-1]), THRESHOLD)
        boxes = np.asarray(found, dtype=np.int16).astype(float).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        return boxes / factor, scores

    return detect
