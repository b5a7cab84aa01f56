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
    # Larger, so that the seed also draws the patches that components are computed on: of less all are taken.
    short={"head_steps": 1, "memory": 2, "size": 320},
    needs_good_images=True,
    squeezes=True,
)
