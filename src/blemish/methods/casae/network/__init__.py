"""Networks of CASAE: the cascade of autoencoders, or an FCN in its place, and the CNN that names defects."""

from blemish.methods.casae.network.cascade import Cascade
from blemish.methods.casae.network.compact import CompactNetwork

__all__ = ["Cascade", "CompactNetwork"]
