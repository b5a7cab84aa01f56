"""Learned parts of the detector; needs torch."""
