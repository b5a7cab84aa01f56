"""Synthetic surfaces with defects whose mask, class and contrast are known exactly."""

from blemish.dataset.synthetic.defects import DEFECTS
from blemish.dataset.synthetic.generate import CLASS_WEIGHTS, DAGM_PAIRS, synthesise
from blemish.dataset.synthetic.parts import PART, PART_DEFECTS, render_part
from blemish.dataset.synthetic.render import DefectRequest, Rendered, render
from blemish.dataset.synthetic.surfaces import SURFACES

__all__ = [
    "CLASS_WEIGHTS",
    "DAGM_PAIRS",
    "DEFECTS",
    "PART",
    "PART_DEFECTS",
    "SURFACES",
    "DefectRequest",
    "Rendered",
    "render",
    "render_part",
    "synthesise",
]
