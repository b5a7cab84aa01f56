"""Which backbone "auto" becomes, before the run is recorded, and each wrong combination in a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
import torchvision
from pydantic import ValidationError
from safetensors.torch import save_file

from blemish.bundle.manifest import first_fault
from blemish.errors import BlemishError, UnavailableError
from blemish.methods.common import backbone_choice
from blemish.methods.tlsdd import METHOD
from blemish.methods.tlsdd.settings import TlsddSettings


def resolved(**values: Any) -> TlsddSettings:
    return METHOD.resolved_settings(TlsddSettings(**values), print)


@pytest.fixture
def nothing_at_hand(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No weights installed or cached, and no network."""

    def get_model(name: str, *, weights: str | None = None, **options: Any) -> Any:
        raise URLError("no network")

    monkeypatch.setattr(torchvision.models, "get_model", get_model)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(backbone_choice, "find_spec", lambda name: None)


def test_installed_weights_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbone_choice, "find_spec", lambda name: name)
    assert resolved() == TlsddSettings(backbone="efficientnet-lite0")
    assert resolved(backbone_weights="none").backbone == "efficientnet-lite0"


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50"])
def test_a_file_says_itself_which_resnet_it_is_of(backbone: str, tmp_path: Path) -> None:
    whole = torchvision.models.get_model(backbone, weights=None).state_dict()
    tensors = {name: tensor for name, tensor in whole.items() if not name.startswith(("layer4", "fc"))}
    save_file(tensors, tmp_path / "part.safetensors")
    file = str(tmp_path / "part.safetensors")
    assert resolved(backbone_weights=file) == TlsddSettings(backbone=backbone, backbone_weights=file)
    with pytest.raises(BlemishError) as caught:
        resolved(backbone_weights=file, deepest="layer4")
    assert str(caught.value) == (
        f"backbone_weights: {file} ends with layer3. Received: deepest=layer4. "
        "Set deepest=layer3, or give a file that goes on."
    )


def test_a_backbone_that_is_given_stays_and_no_file_is_opened() -> None:
    """As with --from: the file that the base began from may be gone."""
    settings = TlsddSettings(backbone="resnet50", backbone_weights="gone.safetensors")
    assert METHOD.resolved_settings(settings, print) is settings


@pytest.mark.usefixtures("nothing_at_hand")
def test_where_no_weights_can_be_had_a_line_says_what_to_do() -> None:
    with pytest.raises(UnavailableError) as caught:
        resolved()
    message = str(caught.value)
    assert message.startswith("backbone_weights=imagenet: the weights of resnet18 could not be downloaded")
    assert "--set backbone_weights=FILE.safetensors" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        (
            {"backbone_strides": "original"},
            "backbone_strides must be torchvision with backbone=efficientnet-lite0, whose blocks have no 1×1 "
            "convolutions first. Received: original. Leave backbone_strides out, or set backbone=resnet50.",
        ),
        (
            {"deformable": True},
            "deformable needs a ResNet as backbone. Received: backbone=efficientnet-lite0. "
            "Leave deformable out, or set backbone=resnet50.",
        ),
    ],
)
def test_what_the_backbone_cannot_have_is_refused_in_a_line(values: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TlsddSettings(backbone="efficientnet-lite0", **values)
    assert first_fault(caught.value, TlsddSettings.model_fields) == fault
    with pytest.raises(BlemishError) as chosen:
        resolved(backbone_weights="none", **values)
    assert str(chosen.value) == fault
