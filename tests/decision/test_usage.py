from __future__ import annotations

import json
from pathlib import Path

import pytest

from blemish.decision.decision import Decision
from blemish.decision.usage import (
    TestSetAccess,
    Usage,
    access_sentences,
    access_under,
    count_access,
    read_usage,
)
from blemish.errors import BlemishError

TestSetAccess.__test__ = False  # type: ignore[attr-defined] # no test, for all its name


def decision(revision: int, **rules: object) -> Decision:
    return Decision.model_validate({"revision": revision, "bundle": "b", "score": {}, **rules})


def access(revision: int = 1, data: str = "d", **rules: object) -> TestSetAccess:
    return access_under(
        data, decision(revision, **rules) if revision else None, date="2031-01-02T03:04:05+00:00"
    )


def test_accesses_are_counted_in_the_folder(tmp_path: Path) -> None:
    assert read_usage(tmp_path, bundle="b").looks == ()
    for revision in (0, 1):
        count_access(tmp_path, access(revision), bundle="b")
    assert read_usage(tmp_path, bundle="b").looks == (access(0), access(1))
    assert [path.name for path in tmp_path.iterdir()] == ["usage.json"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "usage.json: "),
        (Usage(bundle="other").model_dump_json(), "'bundle' must be b. Received: other."),
        (json.dumps({"bundle": "b", "loocks": []}), "unknown key 'loocks'. Did you mean 'looks'?"),
    ],
)
def test_a_file_that_is_no_such_count_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "usage.json").write_text(text)
    with pytest.raises(BlemishError) as raised:
        read_usage(tmp_path, bundle="b")
    assert message in str(raised.value) and "\n" not in str(raised.value)


def test_the_first_access_warns_of_nothing() -> None:
    (sentence,) = access_sentences((), access(0))
    assert sentence == "This is the bundle's first evaluation on these test images, made without a decision."
    (sentence,) = access_sentences((access(0, data="other"),), access(1))
    assert sentence.endswith("Evaluations on other test images: 1.")


def test_accesses_under_one_decision_are_only_counted() -> None:
    (sentence,) = access_sentences((access(), access(0, data="other"), access()), access())
    assert "evaluation no. 3" in sentence
    assert sentence.endswith("the one before was made under decision revision 1.")


@pytest.mark.parametrize(
    "now",
    [access(2), access(0), access(1, score={"ng": 0.5})],
    ids=["revision", "none any more", "by hand without counting up"],
)
def test_a_decision_changed_after_an_access_is_warned_of(now: TestSetAccess) -> None:
    counted, warned = access_sentences((access(1),), now)
    assert "evaluation no. 2" in counted
    assert warned.startswith("The decision was changed after an evaluation on these same test images")


def test_a_change_by_hand_under_the_same_number_is_reported_as_such() -> None:
    _, warned = access_sentences((access(1),), access(1, score={"ng": 0.5}))
    assert "(under decision revision 1 then, edited by hand since, without a new revision)" in warned
