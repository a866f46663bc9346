"""The cascade face detector, its training and the demo."""
