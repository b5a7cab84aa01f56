"""Quick tests of the memory of good patches."""

from blemish.methods.quick import Quick

QUICK = Quick(
    overfit={
        "preset": "tiny",
        "backbone_level": "layer1+layer2+layer3",
        "size": 192,
        "memory": 1000,
        "head_batch": 4,
        "head_steps": 300,
        "head_learning_rate": 4e-3,
        "latent_noise": 0.2,
        "join_distance": 2,
    },
    short={"head_steps": 1, "memory": 2},
    needs_good_images=True,
    squeezes=True,
    drawn_by_no_seed=("features",),  # of so few images all patches are taken, not some drawn
)
