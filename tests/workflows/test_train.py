from __future__ import annotations

import pytest

from blemish.errors import BlemishError
from blemish.methods import find_method
from blemish.workflows.train import read_settings


def test_a_preset_that_a_start_would_beat_is_refused() -> None:
    method = find_method("tlsdd")
    start = {**method.settings_type().model_dump(mode="json"), "width": 64}
    settings = read_settings(method, None, {"preset": "default", "fine_steps": 7}, start)
    assert settings.width == 64 and settings.fine_steps == 7  # type: ignore[attr-defined]
    for given, there in (({"preset": "paper"}, "preset=default"), ({"variant": "tl-ff"}, "variant=tl-sdd")):
        with pytest.raises(
            BlemishError, match=rf"bundle's settings, {there} among them\. Received: "
        ) as caught:
            read_settings(method, None, given, start)
        assert "\n" not in str(caught.value)
    assert read_settings(method, None, {"preset": "paper"}).size == 800  # type: ignore[attr-defined]
