"""The input sides of networks that see one fixed scale, by the smallest face asked for."""

import cv2
import numpy as np

# As in the budgets' table: YuNet at 640, 320 and 160 stands beside faces of 24, 40 and 80 pixels.
SIDES = ((80, 160), (40, 320), (0, 640))


def input_side(min_face_px):
    """Return the longest side of the input."""
    return next(side for least, side in SIDES if min_face_px >= least)


def letterboxed(image, side):
    """Return the picture in the top-left corner of a black square, and the factor of scaling."""
    factor = side / max(image.shape[:2])
    size = (round(image.shape[1] * factor), round(image.shape[0] * factor))
    square = np.zeros((side, side, 3), dtype=np.uint8)
    square[: size[1], : size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return square, factor


def suppressed(boxes, scores, iou_threshold):
    """Return the indices of boxes that no surer one covers, by falling score."""
    x1, y1, x2, y2 = boxes.T
    areas = (x2 - x1) * (y2 - y1)
    order, kept = np.argsort(-scores), []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(best)
        width = np.minimum(x2[best], x2[rest]) - np.maximum(x1[best], x1[rest])
        height = np.minimum(y2[best], y2[rest]) - np.maximum(y1[best], y1[rest])
        common = np.maximum(width, 0) * np.maximum(height, 0)
        order = rest[common / (areas[best] + areas[rest] - common) <= iou_threshold]
    return np.array(kept, dtype=int)
