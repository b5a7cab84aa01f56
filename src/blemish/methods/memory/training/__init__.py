"""Training of the memory: what is good is collected, a head learns what is marked."""

from blemish.methods.memory.training.run import fit

__all__ = ["fit"]
