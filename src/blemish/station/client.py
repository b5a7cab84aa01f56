"""A client of a station's API: typed answers, pages followed, errors as one line.

>>> with Client("http://127.0.0.1:8765", token="blemish_…") as station:  # doctest: +SKIP
...     answer = station.inspect("press", Path("part.png"), serial="A7")
...     print(answer.verdict, answer.seq)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from blemish.errors import BlemishError

API = "/api/v1"
SECONDS = 60.0


class StationError(BlemishError):
    """The station refused a request. status: of HTTP; id: in its log; answer: all that it said"""

    def __init__(self, status: int, message: str, answer: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.status, self.answer = status, answer
        self.id: str = answer.get("id", "")


class LineBusyError(StationError):
    """The line has no room for another part now."""


@dataclass(frozen=True)
class Judged:
    """Answer of a line to a part. doc: the inspection as `blemish.Inspection.from_json` reads it"""

    seq: int
    verdict: str
    ms: float | None
    doc: Mapping[str, Any]


@dataclass(frozen=True)
class StationLine:
    """A line. state: running, held or stopped; fields: all that the station says of it"""

    id: int
    name: str
    state: str
    bundle_id: str | None
    fields: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class RecordedInspection:
    """An inspection of the record. fields: all that the station says of it"""

    id: int
    seq: int
    at: datetime
    serial: str
    lot: str
    verdict: str
    score: float | None
    bundle_id: str
    classes: tuple[str, ...]
    image_sha256: str | None
    fields: Mapping[str, Any] = field(repr=False)


class Client:
    """Client of one station; use it as a context, or close it.

    token: a machine's bearer token; without one, log in
    http: for tests, or with settings of your own
    """

    def __init__(self, address: str, *, token: str | None = None, http: httpx.Client | None = None) -> None:
        self.http = http or httpx.Client(base_url=address, timeout=SECONDS)
        self.headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.http.close()

    def login(self, name: str, password: str) -> None:
        """Log in by name and password. Raises StationError where they are wrong."""
        answer = self.request("POST", "/login", json={"name": name, "password": password})
        self.headers["X-CSRF-Token"] = answer["csrf"]

    def lines(self) -> list[StationLine]:
        """All lines."""
        return [
            StationLine(each["id"], each["name"], each["state"], each["bundle_id"], each)
            for each in self.pages("/lines")
        ]

    def line(self, name: str) -> StationLine:
        """Line of that name. Raises BlemishError where there is none."""
        for each in self.lines():
            if each.name == name:
                return each
        raise BlemishError(f"The station has no line '{name}'. Add it first.")

    def inspect(
        self, line: str | int, image: Path | bytes, *, serial: str | None = None, lot: str | None = None
    ) -> Judged:
        """Have a part inspected; it is in the record when this returns.

        line: name or id; image: file, or its bytes
        Raises LineBusyError where the line has no room, StationError where it judges nothing.
        """
        number = line if isinstance(line, int) else self.line(line).id
        name, content = ("image", image) if isinstance(image, bytes) else (image.name, image.read_bytes())
        form = {key: value for key, value in (("serial", serial), ("lot", lot)) if value is not None}
        files = {"image": (name, content)}
        answer = self.request("POST", f"/lines/{number}/inspect", data=form, files=files)
        return Judged(answer["seq"], answer["verdict"], answer["ms"], answer["doc"])

    def inspections(self, **filters: Any) -> Iterator[RecordedInspection]:
        """Inspections of the record, the newest first; pages are fetched as they are needed.

        filters: as of GET /inspections: line, verdict, class, lot, serial, bundle, from, to, reviewed, …;
            a name that Python keeps to itself takes a "_" at its end: class_, from_
        """
        for each in self.pages("/inspections", {key.rstrip("_"): value for key, value in filters.items()}):
            yield RecordedInspection(
                id=each["id"],
                seq=each["seq"],
                at=datetime.fromisoformat(each["at"]),
                serial=each["serial"],
                lot=each["lot"],
                verdict=each["verdict"],
                score=each["score"],
                bundle_id=each["bundle_id"],
                classes=tuple(each["classes"]),
                image_sha256=each["image"]["sha256"] if each["image"] else None,
                fields=each,
            )

    def review(self, inspection: int, verdict: str, **given: Any) -> Mapping[str, Any]:
        """Review an inspection: verdict OK or NG. given: reason_code, comment, seconds, blind, supersedes

        Raises StationError with status 409 where somebody else has.
        """
        return self.request("POST", f"/inspections/{inspection}/review", json={"verdict": verdict, **given})

    def original(self, sha256: str) -> bytes:
        """File of an image, as it came. Raises StationError with status 410 where it was not kept."""
        return self.answer("GET", f"/images/{sha256}/original").content

    def upload_bundle(self, archive: Path) -> str:
        """Upload the ZIP of a bundle; returns the bundle's id. Raises StationError where it is refused."""
        with archive.open("rb") as file:
            answer = self.request("POST", "/bundles", files={"file": (archive.name, file)})
        return str(answer["id"])

    def pages(self, path: str, query: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        """Items of a list, page after page."""
        cursor: str | None = None
        while True:
            more = {} if cursor is None else {"cursor": cursor}
            answer = self.request("GET", path, params={**(query or {}), **more})
            yield from answer["items"]
            cursor = answer["next"]
            if cursor is None:
                return

    def request(self, method: str, path: str, **given: Any) -> dict[str, Any]:
        """Answer to any request below /api/v1, as JSON. Raises StationError where it is refused."""
        response = self.answer(method, path, **given)
        found: dict[str, Any] = response.json() if response.content else {}
        return found

    def answer(self, method: str, path: str, **given: Any) -> httpx.Response:
        """Response to any request below /api/v1. Raises StationError where it is refused."""
        headers = {**self.headers, **given.pop("headers", {})}
        try:
            response = self.http.request(method, f"{API}{path}", headers=headers, **given)
        except httpx.HTTPError as error:
            raise BlemishError(
                f"The station does not answer: {error}. Check its address, and that it runs."
            ) from error
        if response.is_error:
            raise refused(response)
        return response


def refused(response: httpx.Response) -> StationError:
    """Error of a response."""
    try:
        answer = response.json()
        message = str(answer["error"])
    except (ValueError, KeyError, TypeError):
        answer, message = {}, f"The station answered {response.status_code} without a reason."
    kind = LineBusyError if response.status_code == httpx.codes.TOO_MANY_REQUESTS else StationError
    return kind(response.status_code, message, answer)
