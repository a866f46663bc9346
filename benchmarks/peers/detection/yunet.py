"""YuNet (Wu, Peng, Yu 2023) from its ONNX file, as OpenCV's FaceDetectorYN runs it."""

import cv2
import numpy as np
from sizes import input_side
from worker import NotMeasured

THRESHOLD, SUPPRESSION, MOST = 0.02, 0.3, 5000


def make(min_face_px, longest_side, model):
    """Return the detector."""
    if model is None:
        raise NotMeasured("no path to its ONNX file was given")
    side = input_side(min_face_px)
    detector = cv2.FaceDetectorYN.create(model, "", (side, side), THRESHOLD, SUPPRESSION, MOST)
    factor = side / longest_side

    def detect(image):
        small = (
            image
            if factor == 1
            else cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        )
        detector.setInputSize((small.shape[1], small.shape[0]))
        _, found = detector.detect(np.ascontiguousarray(small[..., ::-1]))
        rows = np.zeros((0, 15)) if found is None else np.asarray(found, dtype=float)
        boxes = rows[:, :4].copy()
        boxes[:, 2:] += boxes[:, :2]
        return boxes / factor, rows[:, -1]

    return detect
