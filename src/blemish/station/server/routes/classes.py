"""The catalogue of defect classes: what each is, when it counts, and pictures that show it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from blemish.station.database.audit import row_values
from blemish.station.database.base import utc_now
from blemish.station.database.labels import DefectClassRow
from blemish.station.server.errors import ApiError, not_found
from blemish.station.server.fields import Answer, Body, Moment, Name, Page, RowId, Sha256, Text
from blemish.station.server.identity import Who, role
from blemish.station.server.routes.images import image_row
from blemish.station.server.state import Reading, TheStation

router = APIRouter(tags=["classes"])
Colour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$", examples=["#d62728"])]


class ClassLimit(Body):
    """From what size on a defect of the class counts, as people agreed on it. ng, review: in `unit`"""

    measure: Annotated[str, Field(pattern="^(length|width|area|severity|count)$")]
    unit: Annotated[str, Field(pattern="^(mm|px|)$")] = ""
    review: float | None = None
    ng: float | None = None


class ClassChange(Body):
    name: Name | None = None
    colour: Colour | None = None
    definition: Text | None = None
    limit: ClassLimit | None = None
    example_id: Sha256 | None = None
    counter_example_id: Sha256 | None = None
    retired: bool | None = None
    """A retired class is offered no more; what was labelled with it stays."""


class NewClass(Body):
    name: Name
    colour: Colour
    definition: Text = ""
    limit: ClassLimit | None = None
    example_id: Sha256 | None = None
    counter_example_id: Sha256 | None = None


class DefectClass(Answer):
    id: int
    name: str
    colour: str
    definition: str
    limit: dict[str, Any] | None
    example_id: str | None
    counter_example_id: str | None
    retired_at: Moment | None


@router.get("/classes", openapi_extra=role("viewer"))
def classes(reading: Reading) -> Page[DefectClass]:
    """All classes, retired ones too, by name."""
    rows = reading.scalars(select(DefectClassRow).order_by(DefectClassRow.name)).all()
    return Page(items=[DefectClass.model_validate(row) for row in rows])


@router.post("/classes", status_code=201, openapi_extra=role("engineer"))
def add_class(body: NewClass, station: TheStation, who: Who) -> DefectClass:
    """Add a class."""

    def change(session: Session) -> DefectClassRow:
        refuse_taken_name(session, body.name, None)
        refuse_unknown_images(session, body)
        row = DefectClassRow(**body.model_dump(mode="json"))
        station.add(session, who.actor, "class.add", row)
        return row

    return DefectClass.model_validate(station.write(change))


@router.patch("/classes/{class_id}", openapi_extra=role("engineer"))
def change_class(class_id: RowId, body: ClassChange, station: TheStation, who: Who) -> DefectClass:
    """Change what is given of a class; the rest stays."""

    def change(session: Session) -> DefectClassRow:
        row = session.get(DefectClassRow, class_id)
        if row is None:
            raise not_found("class", class_id)
        before = row_values(row)
        if body.name is not None:
            refuse_taken_name(session, body.name, class_id)
        refuse_unknown_images(session, body)
        for key in body.model_fields_set - {"retired"}:
            if getattr(body, key) is None and key in ("name", "colour", "definition"):
                raise ApiError(422, f"{key}: a class must have one.")
            setattr(row, key, body.model_dump(mode="json")[key])
        if body.retired is not None:
            row.retired_at = utc_now() if body.retired else None
        session.flush()
        name = f"defect_class/{class_id}"
        station.note(session, who.actor, "class.change", name, before=before, after=row_values(row))
        return row

    return DefectClass.model_validate(station.write(change))


def refuse_taken_name(session: Session, name: str, but: int | None) -> None:
    """Raise ApiError where another class has the name. but: the class that may have it"""
    taken = session.scalars(select(DefectClassRow.id).where(DefectClassRow.name == name)).one_or_none()
    if taken not in (None, but):
        raise ApiError(409, f"There is a class '{name}' already. Choose another name.")


def refuse_unknown_images(session: Session, body: NewClass | ClassChange) -> None:
    """Raise ApiError for a picture that is not there."""
    for sha256 in (body.example_id, body.counter_example_id):
        if sha256 is not None:
            image_row(session, sha256)
