from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from blemish.bundle.faults import first_fault


class Inner(BaseModel):
    unit: Literal["px", "mm"] = "px"


class Model(BaseModel, extra="forbid"):
    size: Literal["auto"] | Annotated[int, Field(ge=64)] | None = None
    names: Literal["auto"] | tuple[str, ...] = "auto"
    drops: tuple[float, ...] = ()
    share: float = Field(0.5, ge=0, lt=1)
    steps: int = 1
    flips: bool = True
    rules: tuple[Inner, ...] = ()
    classes: dict[str, Inner] = {}
    needed: int = 0


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"size": 3}, "'size' must be 'auto' or at least 64. Received: 3."),
        ({"size": "big"}, "'size' must be 'auto' or a whole number. Received: 'big'."),
        ({"names": [1]}, "'names' must be 'auto' or a list whose every entry is text. Received: [1]."),
        ({"names": 5}, "'names' must be 'auto' or a list. Received: 5."),
        ({"drops": [0.5, "a"]}, "'drops', entry 2, must be a number. Received: 'a'."),
        ({"share": -1}, "'share' must be at least 0. Received: -1."),
        ({"share": 1}, "'share' must be below 1. Received: 1."),
        ({"steps": 1.5}, "'steps' must be a whole number. Received: 1.5."),
        ({"flips": "perhaps"}, "'flips' must be true or false. Received: 'perhaps'."),
        ({"rules": [{"unit": "cm"}]}, "'rules.0.unit' must be 'px' or 'mm'. Received: 'cm'."),
        ({"classes": {"deep-cut": {"unit": "m"}}}, "'classes.deep-cut.unit' must be 'px' or 'mm'."),
        ({"stepz": 1}, "unknown key 'stepz'. Did you mean 'steps'?"),
        ([1], "the content must be"),
    ],
)
def test_a_fault_is_a_line_in_plain_words(fields: Any, line: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Model.model_validate(fields)
    found = first_fault(caught.value, Model.model_fields)
    assert found.startswith(line) and "\n" not in found and "Input" not in found


def test_a_key_that_is_missing_is_named() -> None:
    class Strict(BaseModel):
        method: str

    with pytest.raises(ValidationError) as caught:
        Strict.model_validate({})
    assert first_fault(caught.value, Strict.model_fields) == "'method' is missing."
