"""Training of MeDetection: products, what is drawn from them, both loops, and what is measured on the way."""

from blemish.methods.medetection.training.run import fit

__all__ = ["fit"]
