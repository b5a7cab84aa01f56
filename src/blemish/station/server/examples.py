"""Examples of what each operation of the API is sent, for its OpenAPI; by the name of the operation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RUNNING, CHALLENGER = "severity-1e7b31696755", "severity-9c04d2aa81f3"
IMAGE = "8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4"
DECISION = f"""\
schema_version: 1
bundle: {RUNNING}
revision: 2
score: {{review: 0.31, ng: 0.62}}
"""
EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "add_class": {
        "scratch": {
            "name": "scratch",
            "colour": "#d62728",
            "definition": "A line cut into the surface, longer than wide.",
            "limit": {"measure": "length", "unit": "mm", "review": 0.5, "ng": 2.0},
        }
    },
    "add_dataset": {"of two lots": {"name": "November", "choice": {"line_ids": [1], "lots": ["L12", "L13"]}}},
    "add_job": {
        "train": {"kind": "train", "dataset_id": 1, "method": "severity", "settings": {"steps": 2000}},
        "add a class": {
            "kind": "add_class",
            "bundle_id": RUNNING,
            "class_id": 4,
            "annotation_ids": [31, 32, 35, 40, 41],
            "check_dataset_id": 1,
        },
        "export": {
            "kind": "export", "bundle_id": RUNNING, "to": "openvino", "precision": "int8", "dataset_id": 1,
        },
        "evaluate": {"kind": "evaluate", "bundle_id": RUNNING, "dataset_id": 1, "split": "test"},
    },
    "add_line": {
        "watched folder": {
            "name": "press-3",
            "source": {"kind": "folder", "path": "/data/press-3", "renamed": True},
            "deadline_ms": 500,
        }
    },
    "add_token": {"controller": {"name": "plc of press-3", "role": "operator", "line_id": 1, "days": 365}},
    "add_user": {"reviewer": {"name": "anna", "password": "correct horse battery", "role": "operator"}},
    "change_class": {"definition": {"definition": "A line cut into the surface.", "example_id": IMAGE}},
    "change_line": {"keep more": {"keep": {"ok_share": 0.1}, "audit_share": 0.02}},
    "change_user": {"engineer": {"role": "engineer"}},
    "compare": {
        "on a data set": {"a": RUNNING, "b": CHALLENGER, "dataset_id": 1},
        "shadow on a line": {"a": RUNNING, "b": CHALLENGER, "line_id": 1, "from_seq": 1, "to_seq": 5000},
    },
    "decide": {"revision 2": {"yaml": DECISION, "why": "fewer parts for review"}},
    "freeze": {"default": {"val_share": 0.2, "test_share": 0.2, "seed": 0}},
    "inspect": {"part": {"image": "(the bytes of a PNG)", "serial": "A7", "lot": "L12"}},
    "log_in": {"anna": {"name": "anna", "password": "correct horse battery"}},
    "promote": {
        "compared": {"bundle_id": CHALLENGER, "comparison_id": 3, "why": "finds the new scratches"},
    },
    "put_annotations": {
        "box and mask": {
            "items": [
                {"class_id": 1, "shape": {"kind": "box", "box": [6200, 3976, 6320, 4056]}},
                {"class_id": 2, "shape": {"kind": "mask", "box": [10, 20, 12, 22], "counts": [1, 2, 1]}},
            ]
        }
    },
    "review": {"a person's verdict": {"verdict": "OK", "reason_code": "dust", "seconds": 2.4}},
    "roll_back": {"reason": {"why": "too many parts for review"}},
    "set_up": {
        "first admin": {"code": "CX6K-WBAT-FUM5", "name": "anna", "password": "correct horse battery"},
    },
    "shadow": {"begin": {"bundle_id": CHALLENGER, "why": "two days beside the running one"}},
    "upload": {"bundle": {"file": "(the bytes of a ZIP)"}},
}  # fmt: skip


def add_examples(openapi: dict[str, Any]) -> None:
    """Put the examples into an OpenAPI, beside the schema of each body."""
    for operations in openapi["paths"].values():
        for operation in operations.values():
            found = EXAMPLES.get(operation.get("operationId", ""), {})
            for content in operation.get("requestBody", {}).get("content", {}).values():
                content["examples"] = {name: {"value": value} for name, value in found.items()}
