"""Which encoder "auto" becomes, and each wrong combination of weights and settings in a line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
import torchvision
from pydantic import ValidationError
from safetensors.torch import save_file

from blemish.bundle.manifest import first_fault
from blemish.errors import BlemishError
from blemish.methods.casae.settings import CasaeSettings
from blemish.methods.common import backbone_choice
from blemish.methods.common.encoder_choice import with_chosen_encoder
from blemish.methods.severity.settings import SeveritySettings

METHODS = [CasaeSettings, SeveritySettings]


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """No weights installed or cached, and no network; returns the names of networks that were asked for."""
    asked: list[str] = []

    def get_model(name: str, *, weights: str | None = None, **options: Any) -> Any:
        if weights is not None:
            asked.append(name)
            raise URLError("no network")
        return whole(name, **options)

    whole = torchvision.models.get_model
    monkeypatch.setattr(torchvision.models, "get_model", get_model)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(backbone_choice, "find_spec", lambda name: None)
    return asked


def weights_of(backbone: str, folder: Path, *, up_to: str = "layer4") -> Path:
    network = torchvision.models.get_model(backbone, weights=None)
    late = tuple(f"layer{number}" for number in range(int(up_to[-1]) + 1, 5))
    tensors = {name: tensor for name, tensor in network.state_dict().items() if not name.startswith(late)}
    file = folder / f"{backbone}-{up_to}.safetensors"
    save_file(tensors, file)
    return file


def chosen(settings_type: Any = CasaeSettings, **values: Any) -> tuple[Any, list[str]]:
    lines: list[str] = []
    return with_chosen_encoder(settings_type.model_validate(values), lines.append), lines


def fault(settings_type: Any = CasaeSettings, **values: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        settings_type.model_validate(values)
    return first_fault(caught.value, settings_type.model_fields)


@pytest.mark.parametrize("settings_type", METHODS)
def test_without_weights_the_papers_network_is_taken_and_a_line_says_so(
    settings_type: Any, offline: list[str]
) -> None:
    settings, lines = chosen(settings_type, encoder_rate=0.05, decoder_width=16)
    assert settings == settings_type(encoder="paper")
    assert offline == ["resnet18"]  # asked once
    (line,) = lines
    assert line.startswith(
        "The paper's network learns from random weights, as there is no pretrained encoder. "
        "encoder_weights=imagenet: the weights of resnet18 could not be downloaded"
    )
    assert "--set encoder_weights=FILE.safetensors" in line
    assert "\n" not in line


def test_weights_that_are_installed_come_first(monkeypatch: pytest.MonkeyPatch, offline: list[str]) -> None:
    monkeypatch.setattr(backbone_choice, "find_spec", lambda name: name)
    settings, lines = chosen()
    assert (settings, lines, offline) == (CasaeSettings(encoder="efficientnet-lite0"), [], [])


@pytest.mark.parametrize("backbone", ["resnet18", "resnet34", "resnet50"])
def test_a_file_says_itself_which_encoder_it_is_of(backbone: str, tmp_path: Path, offline: list[str]) -> None:
    file = weights_of(backbone, tmp_path, up_to="layer3")
    settings, lines = chosen(encoder_weights=str(file))
    assert (settings.encoder, lines, offline) == (backbone, [], [])
    assert settings == CasaeSettings(encoder=backbone, encoder_weights=str(file))  # else unchanged


@pytest.mark.parametrize(
    ("cached", "taken"), [(["resnet18", "resnet50"], "resnet18"), (["resnet34", "resnet50"], "resnet50")]
)
def test_what_lies_in_torchvisions_cache_is_not_downloaded(
    cached: list[str], taken: str, tmp_path: Path, offline: list[str]
) -> None:
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    for name in cached:
        (folder / Path(torchvision.models.get_model_weights(name).DEFAULT.url).name).touch()
    assert (chosen()[0].encoder, offline) == (taken, [])


@pytest.mark.parametrize("encoder", ["paper", "resnet34"])
def test_an_encoder_that_is_given_stays(encoder: str, offline: list[str]) -> None:
    settings = CasaeSettings(encoder=encoder)
    assert (with_chosen_encoder(settings, print), offline) == (settings, [])


def test_random_weights_need_no_network(offline: list[str]) -> None:
    assert (chosen(encoder_weights="none")[0].encoder, offline) == ("efficientnet-lite0", [])


def test_weights_of_another_backbone_are_refused(tmp_path: Path) -> None:
    file = weights_of("resnet50", tmp_path, up_to="layer1")
    with pytest.raises(BlemishError) as caught:
        chosen(encoder="resnet18", encoder_weights=str(file), encoder_level="layer1")
    assert str(caught.value) == (
        f"encoder_weights: {file} holds weights of resnet50. Received: encoder=resnet18. "
        "Leave encoder out, or give weights of resnet18."
    )


def test_a_file_that_ends_too_early_is_refused(tmp_path: Path) -> None:
    file = weights_of("resnet18", tmp_path, up_to="layer3")
    with pytest.raises(BlemishError) as caught:
        chosen(encoder_weights=str(file), encoder_level="layer4")
    assert str(caught.value) == (
        f"encoder_weights: {file} ends with layer3. Received: encoder_level=layer4. "
        "Set encoder_level=layer3, or give a file that goes on."
    )


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    save_file({"conv1.weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(BlemishError, match=r"must hold the layers of resnet18, resnet34, resnet50"):
        chosen(encoder_weights=str(tmp_path / "other.safetensors"))
    (tmp_path / "text.safetensors").write_text("no tensors")
    with pytest.raises(BlemishError, match="holds no safetensors data"):
        chosen(encoder_weights=str(tmp_path / "text.safetensors"))
    with pytest.raises(BlemishError, match=r"is not a file\. Give imagenet, none or a \.safetensors file"):
        chosen(encoder_weights=str(tmp_path / "missing.safetensors"))


@pytest.mark.parametrize("settings_type", METHODS)
@pytest.mark.parametrize("backbone", ["resnet18", "resnet34"])
def test_original_strides_need_bottlenecks(settings_type: Any, backbone: str, tmp_path: Path) -> None:
    expected = (
        f"encoder_strides must be torchvision with encoder={backbone}, whose blocks have no 1×1 "
        "convolutions first. Received: original. Leave encoder_strides out, or set encoder=resnet50."
    )
    assert fault(settings_type, encoder=backbone, encoder_strides="original") == expected
    file = weights_of(backbone, tmp_path, up_to="layer3")
    with pytest.raises(BlemishError, match=re.escape(expected)):
        chosen(settings_type, encoder_weights=str(file), encoder_strides="original")


@pytest.mark.parametrize(("name", "value"), [("encoder_rate", 0.5), ("encoder_weights", "none")])
def test_what_has_no_effect_without_an_encoder_is_refused(name: str, value: object) -> None:
    assert fault(encoder="paper", **{name: value}) == (
        f"{name} has no effect with encoder=paper. Received: {value}. Leave it out, or set encoder=auto."
    )


def test_baselines_of_the_papers_have_no_encoder() -> None:
    assert CasaeSettings(network="fcn").encoder == SeveritySettings(network="unet").encoder == "paper"
    assert fault(network="fcn", encoder="resnet18") == (
        "encoder must be paper with network=fcn. Received: resnet18. Leave one of them out."
    )
