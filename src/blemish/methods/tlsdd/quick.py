"""Quick tests of TL-SDD."""

from blemish.methods.quick import Quick

QUICK = Quick(
    # Joint training of the plain detector: episodes take their supports from other images than their queries,
    # and four images are too few for both.
    overfit={
        "preset": "tiny",
        "variant": "fr-ff-joint",
        "common": ["scratch", "spot"],
        "steps": 250,
        "batch": 4,
        "learning_rate": 0.03,
        "flips": False,
    },
    short={"steps": 2, "batch": 2},
)
