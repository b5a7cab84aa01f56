"""Networks of severity regression: stage 1, the paper's or a U-Net, and the type classifier of stage 4."""

from blemish.methods.severity.network.context import ContextNetwork
from blemish.methods.severity.network.regression import SeverityNetwork, new_network
from blemish.methods.severity.network.types import TypeNetwork, empty_type_network, new_type_network

__all__ = [
    "ContextNetwork",
    "SeverityNetwork",
    "TypeNetwork",
    "empty_type_network",
    "new_network",
    "new_type_network",
]
