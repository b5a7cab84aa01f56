"""The live view of a line: its records as they are written, and a picture when the page has drawn the last.

Text messages are the LINE's events as JSON. A binary message is a picture: "BLF1", four zero bytes, sequence
number (u64), scale in (0, 1] (f32), length (u32), all little-endian, 24 bytes together, then a JPEG. The page
sends "ready" when it has drawn; the newest picture waits, none queues, and none is encoded for nobody.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections import deque
from contextlib import suppress
from threading import Thread
from typing import Any

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from blemish.errors import BlemishError
from blemish.station.database.lines import LineRow
from blemish.station.layout import LineFolder
from blemish.station.line.channel import Channel, connect
from blemish.station.server.errors import ApiError
from blemish.station.server.identity import identify, may
from blemish.station.server.line_socket import LineAwayError, asked
from blemish.station.server.state import Station, station_of

router = APIRouter(tags=["lines"])
MAX_EVENTS = 256
LARGEST = 1280
CHECK_SECONDS = 30.0  # between looks at whether the session still lasts
UNAUTHORISED, UNKNOWN, AWAY = 4401, 4404, 4503
HEAD = struct.Struct("<4s4xQfI")


@router.websocket("/lines/{line_id}/live")
async def live(websocket: WebSocket, line_id: int) -> None:
    """Follow a line; for viewers and above."""
    station = station_of(websocket)
    folder = await asyncio.to_thread(permitted, websocket, station, line_id)
    await websocket.accept()
    if isinstance(folder, int):
        await websocket.close(folder)
        return
    try:
        channel = await asyncio.to_thread(connect, folder.socket, seconds=None)
    except BlemishError:
        await websocket.close(AWAY)
        return
    view = LiveView(websocket, station, folder, channel)
    try:
        await view.run()
    except (WebSocketDisconnect, RuntimeError):  # the page is gone, before or while something is sent
        pass
    finally:
        channel.close()


def permitted(websocket: WebSocket, station: Station, line_id: int) -> LineFolder | int:
    """Folder of the line, or the code to close the connection with."""
    try:
        who = identify(websocket, station)
    except ApiError:
        return UNAUTHORISED
    if not may(who, "viewer") or who.line_id not in (None, line_id):
        return UNAUTHORISED
    with station.database.reading() as session:
        row = session.get(LineRow, line_id)
    return UNKNOWN if row is None else station.folder.line(row.name)


class LiveView:
    """One page that looks at one line."""

    def __init__(self, websocket: WebSocket, station: Station, folder: LineFolder, channel: Channel) -> None:
        self.websocket, self.station, self.folder, self.channel = websocket, station, folder, channel
        self.events: deque[dict[str, Any]] = deque(maxlen=MAX_EVENTS)
        self.change = asyncio.Event()
        self.ready, self.ended = True, False
        self.newest = self.shown = 0
        self.loop = asyncio.get_running_loop()

    async def run(self) -> None:
        """Send events and pictures until either end has enough."""
        Thread(target=self.follow, name="live", daemon=True).start()
        tasks = [asyncio.create_task(each) for each in (self.send(), self.receive(), self.check())]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
            task.add_done_callback(forgotten)  # it may have ended by itself meanwhile
        faults = [task.exception() for task in done]  # a page that has gone may end two of them
        with suppress(RuntimeError, WebSocketDisconnect):
            await self.websocket.close(AWAY if self.ended else 1000)
        for fault in faults:
            if fault is not None:
                raise fault

    def follow(self) -> None:
        """Read the line's events; runs in a thread of its own, and ends with the channel."""
        with suppress(BlemishError, OSError, RuntimeError):
            self.channel.send({"do": "follow"})
            while (event := self.channel.read_message()) is not None:
                self.loop.call_soon_threadsafe(self.add, event)
        with suppress(RuntimeError):  # the loop may have ended before
            self.loop.call_soon_threadsafe(self.end)

    def add(self, event: dict[str, Any]) -> None:
        """Take an event in; the oldest go where the page does not keep up."""
        self.events.append(event)
        if event.get("kind") == "inspection" and not event.get("shadow"):
            self.newest = event["seq"]
        self.change.set()

    def end(self) -> None:
        """Note that the line has ended."""
        self.ended = True
        self.change.set()

    async def send(self) -> None:
        """Send events as they come, and the newest picture when the page is ready for it."""
        while not self.ended:
            await self.change.wait()
            self.change.clear()
            while self.events:
                event = self.events.popleft()
                await self.websocket.send_text(json.dumps(without_file(event), ensure_ascii=False))
            if self.ready and self.newest > self.shown:
                await self.send_picture()

    async def send_picture(self) -> None:
        """Send the picture of the last part."""
        try:
            head, data = await asyncio.to_thread(
                asked, self.folder, {"do": "picture", "max": LARGEST}, seconds=5.0
            )
        except LineAwayError:
            return
        if data:
            self.ready, self.shown = False, max(self.newest, head["seq"])
            await self.websocket.send_bytes(HEAD.pack(b"BLF1", head["seq"], head["scale"], len(data)) + data)

    async def receive(self) -> None:
        """Take what the page sends: "ready" is all that it says."""
        while True:
            if (await self.websocket.receive_text())[:16] == "ready":
                self.ready = True
                self.change.set()

    async def check(self) -> None:
        """End where the session does."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            try:
                await asyncio.to_thread(identify, self.websocket, self.station)
            except ApiError:
                return


def forgotten(task: asyncio.Task[None]) -> None:
    """Look at how a task has ended, so that nobody is told that nobody did."""
    if not task.cancelled():
        task.exception()


def without_file(event: dict[str, Any]) -> dict[str, Any]:
    """Event without the name of the image's file."""
    image = event.get("image")
    if not isinstance(image, dict):
        return event
    return {**event, "image": {key: value for key, value in image.items() if key != "file"}}
