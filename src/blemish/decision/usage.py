"""usage.json: the evaluations of a bundle on test images, and the decision that each was made under.

Figures on test images hold for new parts only as long as nothing is changed because of them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from blemish.bundle.faults import first_fault
from blemish.bundle.manifest import Strict
from blemish.bundle.store import USAGE, sha256
from blemish.decision.decision import Decision
from blemish.decision.store import decision_text
from blemish.errors import BlemishError
from blemish.files import write_atomically
from blemish.folder_lock import one_at_a_time
from blemish.untrusted import read_bytes

NO_DECISION = "none"
MAX_BYTES = 2**26


class TestSetAccess(Strict):
    """Evaluation on test images, as usage.json counts it.

    data: digest of the images, without their annotations; date: ISO 8601
    revision: of the decision, 0 without one
    digest: of the decision's text, which also shows a change by hand; `NO_DECISION` without one
    """

    data: str
    date: str
    revision: int = Field(ge=0)
    digest: str


class Usage(Strict):
    """Content of usage.json.

    bundle: id of the bundle; looks: its evaluations on test images, in order (the key of the file)
    """

    schema_version: Literal[1] = 1
    bundle: str
    looks: tuple[TestSetAccess, ...] = ()


def access_under(data: str, decision: Decision | None, *, date: str) -> TestSetAccess:
    """Access by an evaluation. data: digest of the test images; decision: None without one; date: ISO 8601"""
    return TestSetAccess(
        data=data,
        date=date,
        revision=decision.revision if decision else 0,
        digest=sha256(decision_text(decision).encode())[:12] if decision else NO_DECISION,
    )


def read_usage(folder: Path, *, bundle: str) -> Usage:
    """Accesses counted in a bundle's folder, none where it has no usage.json.

    bundle: its id. Raises BlemishError for a damaged file, and for that of another bundle.
    """
    file = folder / USAGE
    if not os.path.lexists(file):
        return Usage(bundle=bundle)
    try:
        usage = Usage.model_validate_json(read_bytes(file, max_bytes=MAX_BYTES))
    except ValidationError as error:
        fault = first_fault(error, Usage.model_fields)
        raise BlemishError(
            f"{file}: {fault} Restore it: it counts the evaluations on test images."
        ) from error
    if usage.bundle != bundle:
        raise BlemishError(
            f"{file}: 'bundle' must be {bundle}. Received: {usage.bundle}. Remove it from this bundle."
        )
    return usage


def count_access(folder: Path, access: TestSetAccess, *, bundle: str) -> None:
    """Add an access to usage.json in a bundle's folder, in one step.

    bundle: its id. Raises BlemishError as `read_usage` does, and where the folder is not writable.
    """
    with one_at_a_time(folder / USAGE):  # another evaluation may count itself now
        usage = read_usage(folder, bundle=bundle)
        counted = usage.model_copy(update={"looks": (*usage.looks, access)})
        write_atomically(folder / USAGE, counted.model_dump_json(indent=1) + "\n")


def access_sentences(before: Sequence[TestSetAccess], now: TestSetAccess) -> tuple[str, ...]:
    """Sentences for a report: the number of evaluations on these test images, and a decision changed since.

    before: all earlier accesses of the bundle, also those to other images
    """
    same = [access for access in before if access.data == now.data]
    if not same:
        others = f" Evaluations on other test images: {len(before)}." if before else ""
        return (f"This is the bundle's first evaluation on these test images, made {under(now)}.{others}",)
    counted = (
        f"This is the bundle's evaluation no. {len(same) + 1} on these test images; "
        f"the one before was made {under(same[-1])}."
    )
    changed = [access for access in same if access.digest != now.digest]
    if not changed:
        return (counted,)
    then = changed[-1]
    by_hand = now.revision and now.revision == then.revision
    since = "edited by hand since, without a new revision" if by_hand else f"{under(now)} now"
    return (
        counted,
        f"The decision was changed after an evaluation on these same test images ({under(then)} then, "
        f"{since}), so the figures are no longer those of unseen data. Take new test images.",
    )


def under(access: TestSetAccess) -> str:
    return f"under decision revision {access.revision}" if access.revision else "without a decision"
