from __future__ import annotations

from pathlib import Path

import pytest

from blemish.bundle import migrations
from blemish.errors import BlemishError
from blemish.methods import find_method
from blemish.workflows.train import read_settings


def test_a_preset_that_a_start_would_beat_is_refused() -> None:
    method = find_method("tlsdd")
    start = {**method.settings_type().model_dump(mode="json"), "width": 64}
    settings = read_settings(method, None, {"preset": "default", "fine_tune_steps": 7}, start)
    assert settings.width == 64 and settings.fine_tune_steps == 7  # type: ignore[attr-defined]
    cases = ({"preset": "paper"}, "preset must be default"), ({"variant": "tl-ff"}, "variant must be tl-sdd")
    for settings_of_another, rule in cases:
        with pytest.raises(
            BlemishError, match=rf"{rule}, as in the bundle that training starts from\. Received: "
        ) as caught:
            read_settings(method, None, settings_of_another, start, of="the bundle that training starts from")
        assert "\n" not in str(caught.value)
    assert read_settings(method, None, {"preset": "paper"}).size == 800  # type: ignore[attr-defined]


def test_settings_may_be_given_by_their_older_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "RENAMED", {"severity": {"ground": "floor"}})
    method = find_method("severity")
    config = tmp_path / "settings.yaml"
    config.write_text("ground: 2.0\n")
    assert read_settings(method, config).floor == 2  # type: ignore[attr-defined]
    assert read_settings(method, config, {"floor": 4.0}).floor == 4  # type: ignore[attr-defined]
    assert read_settings(method, None, {"ground": 3.0}).model_dump()["floor"] == 3
    with pytest.raises(BlemishError, match="'ground' is the older name of setting 'floor'"):
        read_settings(method, None, {"ground": 3.0, "floor": 3.0})
    config.write_text("ground: 2.0\nfloor: 1.0\n")
    with pytest.raises(BlemishError, match=f"^--config {config}: 'ground' is the older name"):
        read_settings(method, config)
