"""Types of what the API takes and gives: names without control characters, bodies without unknown keys."""

from __future__ import annotations

import base64
import binascii
import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Generic, Literal, TypeVar

from fastapi import Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from blemish.printable import printable, printable_text
from blemish.station.server.errors import ApiError

Item = TypeVar("Item")


def plain_line(text: str) -> str:
    """Text of one line in NFC. Raises ValueError for control characters and marks of direction."""
    if printable(text) != text:
        raise ValueError("must not have control characters or marks of direction")
    return unicodedata.normalize("NFC", text)


def plain_text(text: str) -> str:
    """Text of several lines in NFC. Raises ValueError for control characters and marks of direction."""
    if printable_text(text) != text:
        raise ValueError("must not have control characters or marks of direction")
    return unicodedata.normalize("NFC", text)


def in_utc(moment: datetime) -> datetime:
    """Time in UTC; one without a zone is taken as UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80), AfterValidator(plain_line)
]
LongName = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(plain_line)]
Reason = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=3, max_length=2000), AfterValidator(plain_text)
]
Text = Annotated[str, StringConstraints(max_length=4000), AfterValidator(plain_text)]
Moment = Annotated[datetime, AfterValidator(in_utc)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
RowId = Annotated[int, Field(ge=1, le=2**53)]
Verdicts = Literal["OK", "REVIEW", "NG", "ERROR"]
Limit = Annotated[int, Query(ge=1, le=200, description="Number of items of a page.")]
Cursor = Annotated[
    str | None, Query(max_length=64, description="`next` of the page before; leave it out for the first.")
]


class Body(BaseModel):
    """What a request carries; a key that is not known is an error."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class Answer(BaseModel):
    """What an answer carries; read from a row by the names of its columns."""

    model_config = ConfigDict(from_attributes=True, use_attribute_docstrings=True)


class Page(BaseModel, Generic[Item]):
    """A page of a list. next: cursor of the page that follows, None on the last one"""

    items: list[Item]
    next: str | None = None


def cursor_of(number: int) -> str:
    """Cursor behind the row of that number."""
    return base64.urlsafe_b64encode(str(number).encode()).decode().rstrip("=")


def number_of(cursor: str | None) -> int | None:
    """Number that a cursor stands for. Raises ApiError for text that is none."""
    if cursor is None:
        return None
    try:
        number = int(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error) as error:
        raise ApiError(422, "cursor: must be `next` of a page. Leave it out for the first.") from error
    if not 0 <= number < 2**63:
        raise ApiError(422, "cursor: must be `next` of a page. Leave it out for the first.")
    return number


def page(items: list[Item], limit: int, last: int | None) -> Page[Item]:
    """Page of a list. last: number that the next page begins behind"""
    return Page(items=items, next=cursor_of(last) if last is not None and len(items) == limit else None)
