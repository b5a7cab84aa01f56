"""Addresses are recognised, and no secret of one is shown."""

from __future__ import annotations

import pytest

from blemish.errors import WrongUseError
from blemish.inspector.live.address import camera_index, is_live, parsed, without_secrets


@pytest.mark.parametrize("text", ["rtsp://a/b", "RTSPS://a", "http://a", "https://a/b.mjpg", "camera:0"])
def test_addresses_are_live(text: str) -> None:
    assert is_live(text)


@pytest.mark.parametrize(
    "text", ["a.png", "0", "-", "C:/a.png", "ftp://a/b", "file:///a", "http:/a", "camera"]
)
def test_paths_are_not(text: str) -> None:
    assert not is_live(text)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://user:hunter2@10.0.0.5:554/live", "rtsp://10.0.0.5:554/live"),
        ("rtsp://hunter2@host/live", "rtsp://host/live"),
        ("http://u:hunter2@h/v.cgi?user=a&pwd=hunter2", "http://h/v.cgi?user=…&pwd=…"),
        ("rtsp://h/user=a&password=hunter2&channel=1", "rtsp://h/user=…&password=…&channel=…"),
        ("http://u:a@hunter2@host/x#hunter2", "http://host/x"),
        ("camera:3", "camera:3"),
    ],
)
def test_what_is_shown_holds_no_secret(address: str, shown: str) -> None:
    assert without_secrets(address) == shown and "hunter2" not in shown


@pytest.mark.parametrize(
    "address",
    [
        *("rtsp://", "http://u:hunter2@/x", "http://h:hunter2/x", "rtsp://u:hunter2@h:99999/", "http://[::"),
        *("rtsp://u:12/hunter2@h/live", "rtsp://u:12?hunter2@h/live", "rtsp://u:12#hunter2@h/live"),
    ],
)
def test_an_address_without_a_host_is_refused_without_its_secrets(address: str) -> None:
    with pytest.raises(WrongUseError, match="An address must be such as") as raised:
        parsed(address)
    assert "hunter2" not in str(raised.value)


def test_cameras_have_numbers() -> None:
    assert camera_index("camera:0") == 0 and camera_index("camera:12") == 12
    for wrong in ("camera:", "camera:front", "camera:-1", "camera:²", "camera:99999"):
        with pytest.raises(WrongUseError, match="A camera must be camera: and its number"):
            camera_index(wrong)
