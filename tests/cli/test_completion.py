"""`blemish --version`, and what a shell offers behind the words that were typed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pytest

from blemish.methods import method_names

Command = Callable[..., Any]


def offered(typed: str) -> list[str]:
    """Completions of the last word, as bash asks for them."""
    words = typed.split(" ")
    environment = {
        **os.environ,
        "_BLEMISH_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(words) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-c", "from blemish.cli.main import run; run()"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    ("typed", "completions"),
    [
        ("blemish train ", ["auto", *sorted(method_names())]),
        ("blemish train sev", ["severity"]),
        ("blemish methods show t", ["tlsdd"]),
        ("blemish train severity --preset t", ["thorough"]),
        ("blemish train tlsdd --set fine_tune_s", ["fine_tune_steps="]),
        (
            "blemish train severity --out run --set types_backbone_",
            ["types_backbone_weights=", "types_backbone_strides="],
        ),
        ("blemish train auto --set s", []),
        ("blemish export BUNDLE --to ", ["onnx", "openvino"]),
        ("blemish export BUNDLE --to ope", ["openvino"]),
        ("blemish data convert DATA OUT --to v", ["voc"]),
        ("blemish evaluate BUNDLE --split t", ["train", "test"]),
        ("blemish dec", ["decide"]),
    ],
)
def test_words_are_completed(typed: str, completions: list[str]) -> None:
    assert offered(typed) == completions


def test_the_script_is_that_of_the_shell_that_asks() -> None:
    command = f"{sys.executable} -c 'from blemish.cli.main import run; run()' --show-completion; exit $?"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert "=complete_bash" in done.stdout


def test_the_version_is_that_of_the_package(blemish: Command) -> None:
    answer = blemish("--version")
    assert (answer.code, answer.out) == (0, f"blemish {version('blemish')}\n")
