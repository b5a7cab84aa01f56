"""The SERVER process: `python -m blemish.station.server DIR`; `blemish station run` starts it.

Loopback by default. Another address needs TLS, or a proxy in front that has it.
"""

from __future__ import annotations

import argparse
import ipaddress
import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from blemish.errors import BlemishError, WrongUseError
from blemish.optional_dependencies import require_package

HOST, PORT = "127.0.0.1", 8765
FAILED = 1


@dataclass(frozen=True)
class ServerOptions:
    """Options of the server. proxy: address of the proxy that is believed, None without one

    certificate, key: PEM files of TLS; supervised: end when standard input does
    """

    root: Path
    host: str = HOST
    port: int = PORT
    database: str | None = None
    proxy: str | None = None
    certificate: Path | None = None
    key: Path | None = None
    supervised: bool = False


def serve(options: ServerOptions) -> None:
    """Serve a station until SIGTERM or SIGINT.

    Raises WrongUseError for an address that is open to others without TLS; BlemishError as `open_station`.
    """
    require_package("fastapi", "the station's server")
    refuse_open_address(options)
    import uvicorn

    from blemish.station.layout import StationFolder
    from blemish.station.server.app import make_app
    from blemish.station.server.runtime import beside, open_station

    folder = StationFolder(options.root.absolute())
    station = open_station(folder, database=options.database, behind_proxy=options.proxy is not None)
    if options.supervised:
        threading.Thread(target=end_with_input, daemon=True).start()
    scheme = "https" if options.certificate else "http"
    print(f"The page is at {scheme}://{shown_host(options.host)}:{options.port}", flush=True)
    if station.setup_code is not None:
        print(
            f"There is no admin yet. Open the page here; the code is {station.setup_code}",
            flush=True,
        )
    uvicorn.run(
        make_app(station, lifespan=beside(station)),
        host=options.host,
        port=options.port,
        workers=1,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=options.proxy is not None,
        forwarded_allow_ips=options.proxy or "",
        ssl_certfile=options.certificate,
        ssl_keyfile=options.key,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=3,
        limit_concurrency=500,
        ws_max_size=1 << 16,
    )


def refuse_open_address(options: ServerOptions) -> None:
    """Raise WrongUseError for an address that other computers reach, without TLS and without a proxy."""
    if (options.certificate is None) != (options.key is None):
        raise WrongUseError("--certificate and --key go together. Received: one of them. Give both.")
    try:
        loopback = ipaddress.ip_address(options.host).is_loopback
    except ValueError:
        loopback = options.host == "localhost"
    if not loopback and options.certificate is None and options.proxy is None:
        raise WrongUseError(
            f"--host {options.host} lets other computers in, and passwords would travel unprotected. "
            "Give --certificate and --key, or --behind-proxy with the address of a proxy that has TLS."
        )


def shown_host(host: str) -> str:
    """Host as it stands in an address."""
    return f"[{host}]" if ":" in host else host


def end_with_input() -> None:
    """End the process when standard input ends, as it does with the supervisor."""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


def parsed(arguments: Sequence[str]) -> ServerOptions:
    """Options from the words of a command line."""
    parser = argparse.ArgumentParser(prog="python -m blemish.station.server")
    parser.add_argument("root", type=Path, metavar="DIR")
    parser.add_argument("--host", default=HOST)
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--database")
    parser.add_argument("--behind-proxy", dest="proxy", metavar="ADDRESS")
    parser.add_argument("--certificate", type=Path)
    parser.add_argument("--key", type=Path)
    parser.add_argument("--supervised", action="store_true")
    return ServerOptions(**vars(parser.parse_args(arguments)))


def main() -> None:
    """Serve; an error is one line, and the exit code 1."""
    try:
        serve(parsed(sys.argv[1:]))
    except BlemishError as error:
        print(f"blemish: {error}", file=sys.stderr)
        sys.exit(FAILED)


if __name__ == "__main__":
    main()
