"""Training of CASAE: both autoencoders, with unlabelled images where there are some, and the compact CNN."""

from blemish.methods.casae.training.run import fit

__all__ = ["fit"]
