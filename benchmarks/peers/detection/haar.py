"""OpenCV's frontal face cascade of Haar features (Viola and Jones 2001, Lienhart 2002)."""

import cv2
import numpy as np
from worker import NotMeasured

STEP, NEIGHBOURS = 1.1, 1


def make(min_face_px, longest_side, model):
    """Return the detector; a low number of neighbours leaves the ranking to the score."""
    if not hasattr(cv2, "CascadeClassifier"):
        raise NotMeasured("OpenCV 5 has no CascadeClassifier: its environment needs OpenCV 4")
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    if cascade.empty():
        raise NotMeasured("this OpenCV carries no haarcascade_frontalface_default.xml")

    def detect(image):
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        found, _, weights = cascade.detectMultiScale3(
            grey, STEP, NEIGHBOURS, minSize=(min_face_px, min_face_px), outputRejectLevels=True
        )
        boxes = np.asarray(found, dtype=float).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        return boxes, np.asarray(weights, dtype=float)

    return detect
