"""Quick tests of severity regression."""

from blemish.methods.quick import Quick

TYPES = {"types_backbone": "resnet18", "types_backbone_weights": "none", "types_batch": 8}
QUICK = Quick(
    overfit={
        "encoder": "paper",
        "cell": 2,
        "patch": 96,
        "batch": 4,
        "steps": 70,
        **TYPES,
        "types_steps": 10,
        "noise": 0,
        "illumination": 0,
        "contrast": 0,
        "rotation_share": 0,
        "rotation_deg": 0,
        "flips": False,
        "clean_share": 0,
    },
    short={"steps": 4, "batch": 2, "types_steps": 2},
    # A quarter of the windows that vote on a defect's type, which take most of an inspection's time.
    tiny={"preset": "tiny", "checkpoint_every": 20, "types_step": 32},
)
