"""Values of CASAE's presets, where they are not the settings' defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from blemish.methods.casae.gray_levels import probability_of

PRESETS: Mapping[str, Mapping[str, Any]] = {
    # 3000 images, 30 and 20 epochs of batches of two.
    "paper": {
        "encoder": "paper",
        "width": 64,
        "size": 512,
        "batch": 2,
        "learning_rate": 1e-4,
        "defect_share": 0.5,
        "area_balance": 0.0,
        "norm": "none",
        "standardise": False,
        "threshold": probability_of(100),
        "threshold_criterion": "pixel-f1",
        "image_score": "max",
        "steps": 45_000,
        "second_steps": 30_000,
        "schedule": "constant",
        "hard_clean_weight": 0.0,
        "noise": 0.0,
        "illumination": 0.0,
        "contrast": 0.0,
        "flips": False,
        "types_standardise": False,
        "types_jitter": 0.0,
        "types_rotation_deg": 0.0,
        "types_steps": 30_000,
        "types_initial": "paper",
        "types_schedule": "constant",
    },
    "default": {},
    "thorough": {"steps": 15_000, "second_steps": 5000, "types_steps": 6000},
    # For tests on a CPU: seconds.
    "tiny": {
        "encoder": "paper",
        "width": 4,
        "size": 64,
        "patch": 64,
        "steps": 60,
        "second_steps": 40,
        "learning_rate": 3e-3,
        "elastic_alpha": 0.5,
        "elastic_sigma": 6.0,
        "types_size": 99,
        "types_steps": 20,
    },
}
