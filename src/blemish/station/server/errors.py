"""Errors of the API: one clear line and an id, never a traceback and never a path."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from blemish.errors import BlemishError
from blemish.printable import printable
from blemish.station.database.writer import DatabaseBusyError

log = logging.getLogger("blemish.station")


class ErrorAnswer(BaseModel):
    """An error. id: also in the server's log"""

    error: str
    id: str


class ApiError(BlemishError):
    """A request that is refused. status: of HTTP; extra: further keys of the answer"""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.headers, self.extra = status, headers, extra


def not_found(kind: str, key: object) -> ApiError:
    """Error for something that is not there. kind: such as "inspection" """
    return ApiError(404, f"There is no {kind} {printable(str(key))[:80]}.")


def handle_errors(app: FastAPI) -> None:
    """Have every error of an app answered as `ErrorAnswer`."""

    async def refused(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, BlemishError)
        status = error.status if isinstance(error, ApiError) else 400
        if isinstance(error, DatabaseBusyError):
            status = 503
        headers = error.headers if isinstance(error, ApiError) else None
        extra = error.extra if isinstance(error, ApiError) else None
        return answer(request, status, str(error), headers=headers, extra=extra)

    async def invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return answer(request, 422, first_fault(error))

    async def of_http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return answer(request, error.status_code, str(error.detail), headers=error.headers)

    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        response = answer(request, 500, "The server failed on this request. Its log says why, by the id.")
        number = response.headers["X-Error-Id"]
        log.error("%s %s %s", number, request.method, request.url.path, exc_info=error)
        return response

    app.add_exception_handler(BlemishError, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, of_http)
    app.add_exception_handler(Exception, unexpected)


def answer(
    request: Request,
    status: int,
    message: str,
    *,
    headers: Mapping[str, str] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> JSONResponse:
    """Answer for an error, logged under its id."""
    number = secrets.token_hex(6)
    line = " ".join(message.split())
    log.info("%s %s %s %d %s", number, request.method, request.url.path, status, printable(line))
    root = str(request.app.state.station.folder.root)
    content = {
        "error": line.replace(f"{root}/", "").replace(root, "the station"),
        "id": number,
        **(extra or {}),
    }
    return JSONResponse(content, status_code=status, headers={**(headers or {}), "X-Error-Id": number})


def first_fault(error: RequestValidationError) -> str:
    """First fault of a request in a line that names the field."""
    fault = error.errors()[0]
    place = ".".join(str(part) for part in fault["loc"] if part not in ("body", "query", "path"))
    message = str(fault["msg"]).removeprefix("Value error, ")
    return printable(f"{place}: {message}" if place else message)[:400]
