"""usage.json: how often test images were looked at with a bundle, and under which decision.

A figure on test images holds for new parts only as long as nothing was changed because of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from blemish.bundle.manifest import Strict, first_fault
from blemish.bundle.store import USAGE, sha256
from blemish.decision.decision import Decision
from blemish.decision.store import decision_text
from blemish.errors import BlemishError
from blemish.files import write_atomically

NO_DECISION = "none"


class TestSetAccess(Strict):
    """An evaluation of test images, as usage.json counts it.

    data: digest of these images, whatever is annotated on them; date: ISO 8601
    revision: of the decision, 0 without one; digest: of what it says, which tells a change by hand
    """

    data: str
    date: str
    revision: int = Field(ge=0)
    digest: str


class Usage(Strict):
    """usage.json. bundle: id of the bundle whose evaluations are counted"""

    schema_version: Literal[1] = 1
    bundle: str
    looks: tuple[TestSetAccess, ...] = ()


def access_under(data: str, decision: Decision | None, *, date: str) -> TestSetAccess:
    """Access of an evaluation on test images of that digest, under that decision."""
    return TestSetAccess(
        data=data,
        date=date,
        revision=decision.revision if decision else 0,
        digest=sha256(decision_text(decision).encode())[:12] if decision else NO_DECISION,
    )


def read_usage(folder: Path, *, bundle: str) -> Usage:
    """Accesses counted in a bundle's folder. Raises BlemishError for a file that is none of the bundle's."""
    file = folder / USAGE
    if not file.is_file():
        return Usage(bundle=bundle)
    try:
        usage = Usage.model_validate_json(file.read_bytes())
    except ValidationError as error:
        fault = first_fault(error, Usage.model_fields)
        raise BlemishError(f"{file}: {fault} Restore it: it says how often test data were used.") from error
    if usage.bundle != bundle:
        raise BlemishError(
            f"{file}: 'bundle' must be {bundle}. Received: {usage.bundle}. Remove it from this bundle."
        )
    return usage


def count_access(folder: Path, access: TestSetAccess, *, bundle: str) -> None:
    """Add an access to usage.json. Raises BlemishError where the folder is not writable."""
    usage = read_usage(folder, bundle=bundle)
    counted = usage.model_copy(update={"looks": (*usage.looks, access)})
    write_atomically(folder / USAGE, counted.model_dump_json(indent=1) + "\n")


def access_sentences(before: Sequence[TestSetAccess], now: TestSetAccess) -> tuple[str, ...]:
    """Sentences for a report: how often these test images were looked at, and a decision changed since.

    before: all earlier accesses with the bundle, to whatever data
    """
    same = [access for access in before if access.data == now.data]
    if not same:
        others = f" Looks at other test images: {len(before)}." if before else ""
        return (f"The test images were looked at once with this bundle: now, {under(now)}.{others}",)
    counted = (
        f"The test images were looked at {len(same) + 1} times with this bundle, this one included; "
        f"last before it {under(same[-1])}."
    )
    changed = [access for access in same if access.digest != now.digest]
    if not changed:
        return (counted,)
    return (
        counted,
        f"The decision was changed after a look at these very test images ({under(changed[-1])} then, "
        f"{changed_to(changed[-1], now)}): the figures no longer are of unseen data. Take new test images.",
    )


def changed_to(before: TestSetAccess, now: TestSetAccess) -> str:
    if now.revision and now.revision == before.revision:
        return "changed by hand since under the same number"
    return f"{under(now)} now"


def under(access: TestSetAccess) -> str:
    return f"under decision revision {access.revision}" if access.revision else "without a decision"
