"""Annotations of images: versions that are never overwritten."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Response
from pydantic import Field
from sqlalchemy.orm import Session

from blemish.station.database.annotations import annotations_at, version_of, versions
from blemish.station.database.base import utc_now
from blemish.station.database.labels import AnnotationRow, AnnotationSetRow, DefectClassRow
from blemish.station.database.people import UserRow
from blemish.station.server.errors import ApiError, not_found
from blemish.station.server.fields import Answer, Body, Moment, Page, RowId, Sha256
from blemish.station.server.identity import Identity, Who, role
from blemish.station.server.routes.images import image_row
from blemish.station.server.state import Reading, Station, TheStation
from blemish.station.shapes import AnyShape, inside_image, restored, stored

router = APIRouter(tags=["annotations"])
MAX_BYTES = 64 << 20
MAX_ANNOTATIONS = 10_000
COPIED = ("kind", "class_id", "geometry", "mask", "source")
Origin = Literal["person", "machine", "import"]


class AnnotationBody(Body):
    id: RowId | None = None
    """Of the annotation that this one is or takes the place of; None for a new one."""
    class_id: RowId
    shape: AnyShape
    source: Origin = "person"


class AnnotationsBody(Body):
    items: Annotated[list[AnnotationBody], Field(max_length=MAX_ANNOTATIONS)]
    """All annotations of the image; those that are left out are removed from this version on."""


class Annotation(Answer):
    """An annotation. version: from which on it is there"""

    id: int
    version: int
    class_id: int
    shape: AnyShape
    source: Origin
    by: str
    at: Moment


class Annotations(Answer):
    """Annotations of an image in a version; version 0: nobody has annotated it. None in `items`: no defect"""

    version: int
    items: list[Annotation]


class Version(Answer):
    version: int
    by: str
    at: Moment


@router.get("/images/{sha256}/annotations", openapi_extra=role("viewer"))
def annotations_of(
    sha256: Sha256,
    reading: Reading,
    response: Response,
    version: Annotated[int | None, Query(ge=0, le=2**31, description="Default: the newest.")] = None,
) -> Annotations:
    """Annotations of an image; the header ETag is their version, for If-Match."""
    image_row(reading, sha256)
    newest = version_of(reading, sha256)
    wanted = newest if version is None else version
    if wanted > newest:
        raise not_found("version", wanted)
    response.headers["ETag"] = f'"{wanted}"'
    return described(reading, sha256, wanted)


@router.get("/images/{sha256}/annotations/versions", openapi_extra=role("viewer"))
def annotation_versions(sha256: Sha256, reading: Reading) -> Page[Version]:
    """Who made which version, the newest first."""
    rows = versions(reading, image_row(reading, sha256).id)
    return Page(items=[Version(version=row.version, by=name_of(reading, row.by), at=row.at) for row in rows])


@router.put("/images/{sha256}/annotations", openapi_extra=role("operator"), max_body_size=MAX_BYTES)
def put_annotations(
    sha256: Sha256,
    body: AnnotationsBody,
    response: Response,
    station: TheStation,
    who: Who,
    if_match: Annotated[str, Header(max_length=20, description='Version that was edited, such as "3".')],
) -> Annotations:
    """Write the next version. 409 with `current` and `yours` where If-Match is not the newest version."""
    base = matched_version(if_match)

    def change(session: Session) -> Annotations:
        image = image_row(session, sha256)
        newest = version_of(session, sha256)
        if base != newest:
            raise ApiError(
                409,
                f"Somebody has annotated this image: it is at version {newest}, yours began at {base}.",
                extra={
                    "current": described(session, sha256, newest).model_dump(mode="json"),
                    "yours": {"version": base, **body.model_dump(mode="json")},
                },
            )
        for item in body.items:
            refuse_unfit(session, item, image.height, image.width)
        write_version(session, station, who, sha256, newest, body.items)
        return described(session, sha256, newest + 1)

    written = station.write(change)
    response.headers["ETag"] = f'"{written.version}"'
    return written


def matched_version(if_match: str) -> int:
    """Version of an If-Match header. Raises ApiError for anything else."""
    found = re.fullmatch(r'(?:W/)?"?(\d{1,9})"?', if_match.strip())
    if found is None:
        raise ApiError(422, f'If-Match must be a version, such as "3". Received: {if_match!r}.')
    return int(found[1])


def refuse_unfit(session: Session, item: AnnotationBody, height: int | None, width: int | None) -> None:
    """Raise ApiError for a class that is not there, and a shape outside the image."""
    if session.get(DefectClassRow, item.class_id) is None:
        raise not_found("class", item.class_id)
    if height is None or width is None:
        raise ApiError(422, "This image could not be decoded, so nothing can be drawn on it.")
    if not inside_image(item.shape, height, width):
        raise ApiError(422, f"A {item.shape.kind} must lie in the image of {width} × {height} pixels.")


def write_version(
    session: Session, station: Station, who: Identity, sha256: str, newest: int, items: list[AnnotationBody]
) -> None:
    """Add the rows by which the next version differs from the newest."""
    there = {row.id: row for row in annotations_at(session, sha256, newest)}
    whole = AnnotationSetRow(image_id=sha256, version=newest + 1, by=who.user_id, at=utc_now())
    kept: set[int] = set()
    added: list[AnnotationRow] = []

    def add(values: dict[str, Any], supersedes: int | None, removed: bool) -> None:
        common = {"image_id": sha256, "version": whole.version, "by": whole.by, "at": whole.at}
        added.append(AnnotationRow(**common, supersedes=supersedes, removed=removed, **values))

    for item in items:
        if item.id is not None and (item.id not in there or item.id in kept):
            raise ApiError(
                422, f"Annotation {item.id} is none of version {newest} of this image, or is given twice."
            )
        geometry, mask = stored(item.shape)
        values = {
            "kind": item.shape.kind,
            "class_id": item.class_id,
            "geometry": geometry,
            "mask": mask,
            "source": item.source,
        }
        if item.id is None:
            add(values, None, removed=False)
            continue
        kept.add(item.id)
        if any(getattr(there[item.id], key) != value for key, value in values.items()):
            add(values, item.id, removed=False)
    for number, row in there.items():
        if number not in kept:
            add({key: getattr(row, key) for key in COPIED}, number, removed=True)
    session.add_all(added)
    station.add(session, who.actor, "annotate", whole, rows=added)


def described(session: Session, sha256: str, version: int) -> Annotations:
    """Annotations of an image in a version, as the API gives them."""
    items = [
        Annotation(
            id=row.id,
            version=row.version,
            class_id=row.class_id,
            shape=restored(row.kind, row.geometry, row.mask),
            source=row.source,
            by=name_of(session, row.by),
            at=row.at,
        )
        for row in annotations_at(session, sha256, version)
    ]
    return Annotations(version=version, items=items)


def name_of(session: Session, user_id: int) -> str:
    """Name of a user."""
    user = session.get(UserRow, user_id)
    assert user is not None, "users are never deleted"
    return user.name
