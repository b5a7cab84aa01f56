"""Quick tests of the memory of good patches."""

from blemish.methods.quick import Quick

QUICK = Quick(
    overfit={
        "preset": "tiny",
        "backbone_level": "layer1+layer2+layer3",
        "size": 192,
        "head_batch": 4,
        "head_steps": 200,
        "join_distance": 2,
    },
    short={"head_steps": 1, "memory": 2},
    needs_good_images=True,
    squeezes=True,
)
