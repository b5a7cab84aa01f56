"""Quick tests of MeDetection."""

from blemish.methods.quick import Quick

QUICK = Quick(
    # One product alone, so fine-tuning from random weights, without other products to learn from first.
    # Three references: of two, both in training, each is judged by its difference from the other, the same.
    overfit={
        "preset": "tiny",
        "backbone": "paper",
        "steps": 120,
        "check_every": 20,
        "patience": 6,
        "references": 3,
    },
    short={"steps": 2, "check_every": 2},
    judges_whole_images=True,
    squeezes=True,
)
