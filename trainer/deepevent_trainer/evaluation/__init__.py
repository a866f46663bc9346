"""How good detections are: matching, average precision, styles, and the protocols of FDDB and WIDER."""
