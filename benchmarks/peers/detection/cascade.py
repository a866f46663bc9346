"""DeepEvent's own cascade, as installed."""


def make(min_face_px, longest_side, model):
    """Return the detector."""
    from deepevent_trainer import Detector

    return Detector(min_face=min_face_px).detect
