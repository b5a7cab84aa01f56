"""Quick tests of CASAE."""

from blemish.methods.quick import Quick

QUICK = Quick(
    overfit={
        "preset": "tiny",
        "size": 96,
        # All four show a defect: with that painted over, its noise would be raised to as much.
        "standardise": False,
        "width": 6,
        "batch": 2,
        "steps": 300,
        "second_steps": 80,
        "types_steps": 20,
        "rotation_deg": 0,
        "translation": 0,
        "zoom": 0,
        "shear": 0,
        "elastic_alpha": 0,
        "flips": False,
        "noise": 0,
        "illumination": 0,
        "contrast": 0,
    },
    short={"steps": 2, "second_steps": 2, "types_steps": 2},
    squeezes=True,
)
