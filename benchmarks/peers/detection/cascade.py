"""DeepEvent's own cascade, as installed; like its peers from a low score on, for average precision."""

THRESHOLD = 0.02


def make(min_face_px, longest_side, model):
    """Return the detector."""
    from deepevent_trainer import Detector

    return Detector(min_face=min_face_px, threshold=THRESHOLD).detect
