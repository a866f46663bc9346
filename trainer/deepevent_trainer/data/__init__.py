"""Photographs and their annotations, from files to training crops."""
