"""Synthetic surfaces with defects whose mask, class and contrast are known exactly."""

from blemish.dataset.synthetic.defects import DEFECTS
from blemish.dataset.synthetic.generate import CLASS_WEIGHTS, DAGM_PAIRS, synthesise
from blemish.dataset.synthetic.render import DefectRequest, Rendered, render
from blemish.dataset.synthetic.surfaces import SURFACES

__all__ = [
    "CLASS_WEIGHTS",
    "DAGM_PAIRS",
    "DEFECTS",
    "SURFACES",
    "DefectRequest",
    "Rendered",
    "render",
    "synthesise",
]
