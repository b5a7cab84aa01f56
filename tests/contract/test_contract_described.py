"""What every method must tell its users: a summary, and each of its settings."""

from __future__ import annotations

from dataclasses import asdict

from blemish.methods.contract import Method
from blemish.methods.describe import in_yaml, main_settings_of, settings_of
from blemish.untrusted import parse_yaml

MAX_SUMMARY = 400  # characters of each of its parts


def test_the_summary_says_what_a_user_must_know(method: Method) -> None:
    for part, text in asdict(method.summary).items():
        assert text[:1].isupper() and text.endswith("."), part
        assert 20 <= len(text) <= MAX_SUMMARY, part


def test_every_setting_is_described_by_sentences(method: Method) -> None:
    for setting in settings_of(method.settings_type):
        first, description = setting.description[:1], setting.description
        assert first.isupper() or description.startswith("λ"), f"{setting.name}: {description!r}"
        assert description.endswith("."), f"{setting.name}: {description!r}"
        assert len(description) >= 12, setting.name
        assert setting.group, setting.name


def test_every_setting_is_listed_once_and_its_default_can_be_set(method: Method) -> None:
    settings = settings_of(method.settings_type)
    assert {setting.name for setting in settings} == set(method.settings_type.model_fields)
    assert len({setting.name for setting in settings}) == len(settings)
    for setting in settings:
        value = parse_yaml(in_yaml(setting.default), "--set")
        method.settings_type.model_validate({setting.name: value})


def test_at_most_ten_settings_come_first(method: Method) -> None:
    names = [setting.name for setting in main_settings_of(method.settings_type)]
    assert names == list(method.settings_type.main_settings)
    assert 1 <= len(names) <= 10 and len(set(names)) == len(names)
