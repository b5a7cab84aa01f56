"""What holds for every request before a route sees it: origin, first admin, time limits, response headers."""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from blemish.station.server.state import Station

POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'; base-uri 'self'; "
    "form-action 'self'; object-src 'none'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
SECONDS = 30.0
# Of what carries large files, or waits for a child that reads them.
LONGER = {
    "/api/v1/bundles": 900.0,
    "/api/v1/images": 120.0,
    "/api/v1/datasets": 600.0,
    "/api/v1/audit": 300.0,
    "/api/v1/lines": 120.0,
    "/api/v1/inspections": 330.0,
}


class Protection:
    """Wraps the app. Requests from elsewhere wait until there is an admin; every answer has the headers."""

    def __init__(self, app: ASGIApp, station: Station) -> None:
        self.app, self.station = app, station

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        refusal = self.refusal(scope)
        if scope["type"] == "websocket":
            if refusal is not None:
                await receive()
                await send({"type": "websocket.close", "code": 4403, "reason": refusal})
                return
            await self.app(scope, receive, send)
            return
        started = False

        async def with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
                if scope.get("scheme") == "https":
                    headers.setdefault("Strict-Transport-Security", "max-age=31536000")
            await send(message)

        if refusal is not None:
            await plain_error(with_headers, 403, refusal)
            return
        try:
            async with asyncio.timeout(seconds_of(scope["path"])):
                await self.app(scope, receive, with_headers)
        except TimeoutError:
            if not started:
                await plain_error(with_headers, 503, "This took too long and was given up. Try again.")

    def refusal(self, scope: Scope) -> str | None:
        """Reason to refuse a request before it is read; None where there is none."""
        headers = Headers(scope=scope)
        if not self.station.has_admin and not is_loopback(scope):
            return "Only this computer is answered until there is an admin. Follow the line on its console."
        origin, host = headers.get("origin"), headers.get("host", "")
        unsafe = scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD", "OPTIONS")
        if unsafe and origin is not None and urlsplit(origin).netloc != host:
            return "A page of another site may not use this station."
        return None


def is_loopback(scope: Scope) -> bool:
    """True where a request comes from this computer, by its address or by a Unix socket."""
    client: Any = scope.get("client")
    if client is None:
        return True
    try:
        return ipaddress.ip_address(client[0]).is_loopback
    except ValueError:
        return False


def seconds_of(path: str) -> float:
    """Longest that a request to a path may take."""
    return next((seconds for start, seconds in LONGER.items() if path.startswith(start)), SECONDS)


async def plain_error(send: Send, status: int, message: str) -> None:
    """Send an error without the app."""
    body = json.dumps({"error": message, "id": "refused"}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
