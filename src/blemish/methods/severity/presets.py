"""Values of the presets of severity regression, where they are not the settings' defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# The paper's way, where the default has another.
PLAIN: Mapping[str, Any] = {
    "padding": "zeros",
    "context": 1,
    "loss": "paper",
    "patch_balance": 1.0,
    "clean_share": 0.15,
    "clean_patches": "anywhere",
    "hard_share": 0.0,
    "score_values": "clipped",
    "types_regions": None,
    "types_background_share": None,
    "types_hard_candidates": 1,
    "drop_rule": "lossless",
}
PRESETS: Mapping[str, Mapping[str, Any]] = {
    # Where the paper leaves open what the default has another value for, that of longer trainings on patches
    # of 256.
    "paper": {
        "encoder": "paper",
        "cell": 4,
        "patch": 256,
        "zoom": 0.15,
        "noise": 0.02,
        "illumination": 0.1,
        "contrast": 0.2,
        "steps": 2000,
        "learning_rate": 3e-3,
        "weight_decay": 1e-4,
        "threshold_criterion": "mean-iou",
        "image_score": "max",
        "types": True,
        "types_backbone": "resnet101",
        **PLAIN,
    },
    "default": {},
    "thorough": {"steps": 8000, "types_steps": 2400},
    # For tests on a CPU: seconds.
    "tiny": {
        "encoder": "paper",
        "cell": 4,
        "patch": 64,
        "learning_rate": 3e-3,
        "batch": 4,
        "steps": 80,
        "types_backbone": "resnet18",
        "types_backbone_weights": "none",
        "types_batch": 8,
        "types_steps": 8,
    },
}
