"""Reads what other monitors have written and makes runs of it, one module per format."""
