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


def look(revision: int = 1, data: str = "d", **rules: object) -> TestSetAccess:
    return access_under(
        data, decision(revision, **rules) if revision else None, date="2031-01-02T03:04:05+00:00"
    )


def test_looks_are_counted_in_the_folder(tmp_path: Path) -> None:
    assert read_usage(tmp_path, bundle="b").looks == ()
    for revision in (0, 1):
        count_access(tmp_path, look(revision), bundle="b")
    assert read_usage(tmp_path, bundle="b").looks == (look(0), look(1))
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


def test_the_first_look_warns_of_nothing() -> None:
    (said,) = access_sentences((), look(0))
    assert said == "The test images were looked at once with this bundle: now, without a decision."
    (said,) = access_sentences((look(0, data="other"),), look(1))
    assert said.endswith("Looks at other test images: 1.")


def test_looks_under_one_decision_are_only_counted() -> None:
    (said,) = access_sentences((look(), look(0, data="other"), look()), look())
    assert "looked at 3 times" in said and said.endswith("last before it under decision revision 1.")


@pytest.mark.parametrize(
    "now",
    [look(2), look(0), look(1, score={"ng": 0.5})],
    ids=["revision", "none any more", "by hand without counting up"],
)
def test_a_decision_changed_after_a_look_is_warned_of(now: TestSetAccess) -> None:
    counted, warned = access_sentences((look(1),), now)
    assert "2 times" in counted
    assert warned.startswith("The decision was changed after a look at these very test images")


def test_a_change_by_hand_under_the_same_number_is_told_as_such() -> None:
    _, warned = access_sentences((look(1),), look(1, score={"ng": 0.5}))
    assert "(under decision revision 1 then, changed by hand since under the same number)" in warned
