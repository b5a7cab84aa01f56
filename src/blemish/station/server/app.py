"""The web application: routes under /api/v1, the page under /, and what holds for every request."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from blemish.provenance import blemish_version
from blemish.station.server.errors import ErrorAnswer, handle_errors
from blemish.station.server.examples import add_examples
from blemish.station.server.identity import authorise
from blemish.station.server.protection import Protection
from blemish.station.server.routes import annotations as annotation_routes
from blemish.station.server.routes import (
    audit,
    bundles,
    classes,
    comparisons,
    datasets,
    health,
    images,
    inspections,
    jobs,
    lines,
    live,
    people,
    promotions,
    queue,
    replay,
)
from blemish.station.server.state import Station

API = "/api/v1"
MAX_BODY = 1 << 20
PAGE = Path(__file__).parents[1] / "static"
ROUTERS = (
    health, people, lines, live, promotions, inspections, replay, queue, images, annotation_routes, classes, 
    datasets, jobs, bundles, comparisons, audit,
)  # fmt: skip
NO_PAGE = """<!doctype html>
<html lang="en"><title>blemish station</title>
<h1>The page is not built</h1>
<p>This is a checkout. Run <code>make web</code> (Node 20), then reload. The API is at /api/v1.</p></html>
"""
ERRORS: dict[int | str, dict[str, Any]] = {code: {"model": ErrorAnswer} for code in ("4XX", "5XX")}
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def make_app(station: Station, *, page: Path = PAGE, lifespan: Lifespan | None = None) -> FastAPI:
    """Application of a station. page: folder of the built page; lifespan: runs what runs beside it"""
    app = StationApp(
        title="blemish station",
        version=blemish_version(),
        openapi_url=f"{API}/openapi.json",
        docs_url=None,  # both load scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
        max_body_size=MAX_BODY,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.station = station
    for module in ROUTERS:
        # A WebSocket asks for itself: what a browser can send with it is another thing.
        guard = [] if module is live else [Depends(authorise)]
        app.include_router(module.router, prefix=API, dependencies=guard, responses=ERRORS)
    handle_errors(app)
    serve_page(app, page)
    app.add_middleware(Protection, station=station)
    return app


class StationApp(FastAPI):
    """Application whose OpenAPI has an example of every body."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            add_examples(super().openapi())
        return super().openapi()


def serve_page(app: FastAPI, page: Path) -> None:
    """Serve the built page, whose addresses are its own affair; else say how it is built."""
    built = page / "index.html"
    if built.is_file():
        app.mount("/", Page(directory=page, html=True))
        return

    @app.get("/", include_in_schema=False)
    def not_built() -> HTMLResponse:
        return HTMLResponse(NO_PAGE)


class Page(StaticFiles):
    """Files of the page; any other address outside the API is the page itself, which has its own."""

    async def get_response(self, path: str, scope: Any) -> Any:
        try:
            return await super().get_response(path, scope)
        except HTTPException as error:
            if error.status_code != 404 or path.startswith("api/") or "." in Path(path).name:
                raise
            return await super().get_response("index.html", scope)
