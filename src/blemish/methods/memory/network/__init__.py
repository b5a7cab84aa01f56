"""Networks of the memory: pretrained features, the patches, and the head."""

from blemish.methods.memory.network.features import FeatureNetwork
from blemish.methods.memory.network.head import DefectHead
from blemish.methods.memory.network.patches import PatchCounts, Patches, Reference, Usual

__all__ = ["DefectHead", "FeatureNetwork", "PatchCounts", "Patches", "Reference", "Usual"]
