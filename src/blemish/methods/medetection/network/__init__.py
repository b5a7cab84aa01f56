"""Network of MeDetection and the references that it compares images with, both tensors of a bundle."""

from blemish.methods.medetection.network.difference import DifferenceNetwork
from blemish.methods.medetection.network.references import References

__all__ = ["DifferenceNetwork", "References"]
