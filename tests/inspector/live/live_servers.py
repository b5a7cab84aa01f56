"""Cameras of this machine: Motion JPEG over HTTP, and RTSP with JPEG frames (RFC 2326, RFC 2435)."""

from __future__ import annotations

import base64
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
from numpy.typing import NDArray

BOUNDARY = "frame"


def numbered(number: int, size: tuple[int, int] = (64, 96)) -> NDArray[np.uint8]:
    """Noisy gray image that is brighter the higher its number is, up to 200."""
    noise = np.random.default_rng(number).integers(-4, 5, size)
    return np.clip(number % 200 + 20 + noise, 0, 255).astype(np.uint8)


def jpeg(pixels: NDArray[np.uint8]) -> bytes:
    coded, data = cv2.imencode(".jpg", pixels)
    assert coded
    return data.tobytes()


class Camera:
    """Behaviour of a server. rate: frames a second; cut_after: frames of a connection; None: without end

    with_length: whether each part tells its length; password: that is asked for; sent: frames in all
    """

    def __init__(
        self,
        *,
        rate: float = 100.0,
        cut_after: int | None = None,
        with_length: bool = True,
        password: str | None = None,
        kind: str = f"multipart/x-mixed-replace; boundary={BOUNDARY}",
        redirect: str | None = None,
    ) -> None:
        self.rate, self.cut_after, self.with_length = rate, cut_after, with_length
        self.password, self.kind, self.redirect = password, kind, redirect
        self.sent = self.connections = 0
        self.away = threading.Event()  # set: no connection is accepted
        self.damaged: set[int] = set()

    def frame(self) -> bytes:
        data = jpeg(numbered(self.sent))
        if self.sent in self.damaged:
            data = data[: len(data) // 2] + b"\xff\xd9"
        self.sent += 1
        return data


@contextmanager
def mjpeg_server(camera: Camera) -> Iterator[str]:
    """Address of a Motion JPEG server, without user and password: "http://127.0.0.1:PORT/"."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            camera.connections += 1
            wanted = camera.password and "Basic " + base64.b64encode(camera.password.encode()).decode()
            if camera.away.is_set():
                self.send_error(503)
            elif camera.redirect:
                self.send_response(302)
                self.send_header("Location", camera.redirect)
                self.end_headers()
            elif wanted and self.headers.get("Authorization") != wanted:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="camera"')
                self.end_headers()
            else:
                self.stream()

        def stream(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", camera.kind)
            self.end_headers()
            with suppress(OSError):
                for _ in range(10_000 if camera.cut_after is None else camera.cut_after):
                    self.part(camera.frame())
                    time.sleep(1 / camera.rate)

        def part(self, data: bytes) -> None:
            length = f"Content-Length: {len(data)}\r\n" if camera.with_length else ""
            head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\n{length}\r\n"
            self.wfile.write(head.encode() + data + b"\r\n")

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()


# RTSP

SDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nt=0 0\r\nm=video 0 RTP/AVP 26\r\na=control:track\r\n"
MAX_PAYLOAD = 1400


def rtp_packets(data: bytes, sequence: int, timestamp: int) -> Iterator[bytes]:
    """RTP packets of a baseline JPEG, 4:2:0, with its tables in the first one, and without its headers."""
    tables, scan, (height, width) = parts_of(data)
    offset = 0
    while offset < len(scan):
        head = struct.pack(">B3sBBBB", 0, offset.to_bytes(3, "big"), 1, 255, width // 8, height // 8)
        if offset == 0:
            head += struct.pack(">BBH", 0, 0, len(tables)) + tables
        part = scan[offset : offset + MAX_PAYLOAD]
        offset += len(part)
        marker = 0x80 if offset == len(scan) else 0
        yield struct.pack(">BBHII", 0x80, marker | 26, sequence & 0xFFFF, timestamp, 1) + head + part
        sequence += 1


def parts_of(data: bytes) -> tuple[bytes, bytes, tuple[int, int]]:
    """Quantisation tables, entropy-coded data and (height, width) of a JPEG."""
    tables, size, place = b"", (0, 0), 2
    while True:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        content = data[place + 4 : place + 2 + length]
        if marker == 0xDB:
            while content:
                tables, content = tables + content[1:65], content[65:]
        elif marker == 0xC0:
            size = int.from_bytes(content[1:3], "big"), int.from_bytes(content[3:5], "big")
        place += 2 + length
        if marker == 0xDA:
            return tables, data[place:-2], size


@contextmanager
def rtsp_server(*, rate: float = 50.0, cut_after: int | None = None) -> Iterator[str]:
    """Address of an RTSP server, "rtsp://127.0.0.1:PORT/live". cut_after: frames of its first connection"""
    stopped, connections = threading.Event(), [0]

    def serve(connection: socket.socket) -> None:
        with connection, connection.makefile("rwb") as file, suppress(OSError, ValueError):
            while line := file.readline().decode():
                method, address, _ = line.split()
                headers = {}
                while (header := file.readline().decode().strip()) != "":
                    name, _, value = header.partition(":")
                    headers[name.lower()] = value.strip()
                more, body = "", ""
                if method == "DESCRIBE":
                    body = SDP
                    more = f"Content-Type: application/sdp\r\nContent-Base: {address}/\r\n"
                    more += f"Content-Length: {len(body)}\r\n"
                elif method == "SETUP":
                    more = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
                elif method == "OPTIONS":
                    more = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
                answer = f"RTSP/1.0 200 OK\r\nCSeq: {headers['cseq']}\r\nSession: 1\r\n{more}\r\n{body}"
                file.write(answer.encode())
                file.flush()
                if method == "PLAY":
                    play(file)
                    return

    def play(file: object) -> None:
        connections[0] += 1
        sequence, number = 0, 0
        while not stopped.is_set():
            if cut_after is not None and connections[0] == 1 and number >= cut_after:
                return
            colour = cv2.cvtColor(numbered(number), cv2.COLOR_GRAY2BGR)
            for packet in rtp_packets(jpeg(colour), sequence, int(number * 90000 / rate)):
                file.write(b"$\0" + struct.pack(">H", len(packet)) + packet)  # type: ignore[attr-defined]
                sequence += 1
            file.flush()  # type: ignore[attr-defined]
            number += 1
            time.sleep(1 / rate)

    def accept(listening: socket.socket) -> None:
        while not stopped.is_set():
            with suppress(OSError):
                threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)
        threading.Thread(target=accept, args=(listening,), daemon=True).start()
        try:
            yield f"rtsp://127.0.0.1:{listening.getsockname()[1]}/live"
        finally:
            stopped.set()
