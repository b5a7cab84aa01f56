"""Which backbone "auto" becomes, what the bundle says of it, and each wrong combination in a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from blemish.errors import BlemishError, UnavailableError, WrongUseError
from blemish.inspector.loading import inspector_of
from blemish.methods.common import backbone_choice
from blemish.methods.medetection import METHOD
from blemish.methods.medetection.network.stems import new_stem
from blemish.methods.medetection.settings import MedetectionSettings
from blemish.nn.efficientnet_lite import LiteScale, efficientnet_lite_stages
from tests.methods.medetection.conftest import tiny

SHORT = {"meta_steps": 2, "steps": 2, "check_every": 2, "maml": False, "size": 64}


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """No network and an empty cache; returns the names of networks that were asked for."""
    asked: list[str] = []
    whole = torchvision.models.get_model

    def get_model(name: str, *, weights: str | None = None, **options: Any) -> Any:
        if weights is not None:
            asked.append(name)
            raise URLError("no network")
        return whole(name, **options)

    monkeypatch.setattr(torchvision.models, "get_model", get_model)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return asked


@pytest.fixture
def not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbone_choice, "find_spec", lambda name: None)


def weights_of(backbone: str, folder: Path, *, up_to: int = 4) -> Path:
    network = torchvision.models.get_model(backbone, weights=None)
    late = tuple(f"layer{number}" for number in range(up_to + 1, 5))
    tensors = {name: tensor for name, tensor in network.state_dict().items() if not name.startswith(late)}
    save_file(tensors, folder / f"{backbone}.safetensors")
    return folder / f"{backbone}.safetensors"


def resolved(**values: Any) -> MedetectionSettings:
    return METHOD.resolved_settings(MedetectionSettings(**values), print)


def test_the_default_needs_no_download(offline: list[str]) -> None:
    settings = resolved()
    assert settings == MedetectionSettings(backbone="efficientnet-lite0")
    stem, origin = new_stem(settings)
    assert (origin, offline) == ("efficientnet-lite0: ImageNet weights", [])
    assert stem.stride == 16


def test_efficientnets_maps_are_those_inside_the_blocks_behind() -> None:
    """As the whole network computes them on its way, the finer ones' maxima on top of the deeper map."""
    stages, _ = efficientnet_lite_stages("imagenet", deepest="stage5", setting="backbone_weights")
    seen = []
    for name in ("stage4", "stage5"):
        stages[name][0].layers[2].register_forward_hook(lambda module, inputs, output: seen.append(output))
    images = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    stem, _ = new_stem(MedetectionSettings(backbone="efficientnet-lite0"))
    with torch.no_grad():
        torch.nn.Sequential(LiteScale(), *stages.values())(images)
        found = stem(images)
    finer, deeper = seen
    maxima = finer.unflatten(3, (6, 2)).amax(4).unflatten(2, (4, 2)).amax(3)
    assert found.shape == (2, 240 + 672, 4, 6) and stem.channels == 912
    torch.testing.assert_close(found, torch.cat([maxima, deeper], 1))


def test_the_run_and_the_bundle_name_the_backbone(lid, run, tmp_path: Path, offline: list[str]) -> None:
    settings = tiny(**SHORT, backbone="auto", backbone_weights="imagenet")
    bundle = run(lid, tmp_path / "run", settings)
    assert bundle.manifest.settings["backbone"] == "efficientnet-lite0"
    assert '"backbone": "efficientnet-lite0"' in (tmp_path / "run" / "run.json").read_text()
    assert 0 <= inspector_of(bundle, device="cpu").inspect(lid.split("test").samples[0].image).score <= 1
    assert offline == []

    fault = "setting backbone must stay as in .*, whose network was trained with backbone=efficientnet-lite0"
    with pytest.raises(BlemishError, match=rf"{fault}\. Received: resnet18\. Leave backbone out"):
        run(
            lid,
            tmp_path / "other",
            settings.model_copy(update={"backbone": "resnet18", "backbone_weights": "none"}),
            initial_bundle=bundle,
        )


def test_the_papers_stem_and_a_network_that_is_given_stay(offline: list[str], not_installed: None) -> None:
    for settings in (MedetectionSettings(preset="paper"), MedetectionSettings(backbone="resnet34")):
        assert METHOD.resolved_settings(settings, print) is settings
    assert offline == []


@pytest.mark.parametrize("backbone", ["resnet18", "resnet34", "resnet50", "resnet101"])
def test_a_file_says_itself_which_backbone_it_is_of(backbone: str, tmp_path: Path) -> None:
    file = weights_of(backbone, tmp_path, up_to=3)
    settings = resolved(backbone_weights=str(file))
    assert settings == MedetectionSettings(backbone=backbone, backbone_weights=str(file))


def test_a_file_that_ends_before_networks_differ_fits_each(tmp_path: Path) -> None:
    values = {"backbone_weights": str(weights_of("resnet101", tmp_path, up_to=2)), "backbone_level": "layer2"}
    assert resolved(**values).backbone == "resnet50"
    stem, _ = new_stem(MedetectionSettings(backbone="resnet101", **values))
    assert stem.channels == 512


@pytest.mark.parametrize(("held", "wanted"), [("resnet18", "resnet34"), ("resnet50", "resnet101")])
def test_weights_of_another_backbone_are_refused(held: str, wanted: str, tmp_path: Path) -> None:
    """Also where all of its tensors fit into the other."""
    file = weights_of(held, tmp_path)
    with pytest.raises(BlemishError) as caught:
        new_stem(MedetectionSettings(backbone=wanted, backbone_weights=str(file)))
    assert str(caught.value) == (
        f"backbone_weights: {file} holds weights of {held}. Received: backbone={wanted}. "
        f"Leave backbone out, or give weights of {wanted}."
    )


def test_weights_of_a_resnet_are_refused_for_efficientnet(tmp_path: Path) -> None:
    file = weights_of("resnet18", tmp_path)
    with pytest.raises(BlemishError, match=r"^backbone_weights: .*'bn1\.bias', which this network lacks"):
        new_stem(MedetectionSettings(backbone="efficientnet-lite0", backbone_weights=str(file)))


def test_a_file_that_ends_too_early_is_refused(tmp_path: Path) -> None:
    file = weights_of("resnet18", tmp_path, up_to=2)
    with pytest.raises(BlemishError) as caught:
        resolved(backbone_weights=str(file))
    assert str(caught.value) == (
        f"backbone_weights: {file} ends with layer2. Received: backbone_level=layer2+layer3. "
        "Set backbone_level=layer2, or give a file that goes on."
    )


def test_original_strides_need_bottlenecks() -> None:
    message = "backbone_strides must be torchvision with backbone=efficientnet-lite0"
    with pytest.raises(ValueError, match=message):
        MedetectionSettings(backbone="efficientnet-lite0", backbone_strides="original")
    with pytest.raises(WrongUseError, match=message):  # where "auto" becomes it
        resolved(backbone_strides="original")
    assert MedetectionSettings(backbone="resnet50", backbone_strides="original").backbone == "resnet50"


def test_without_the_package_a_cached_resnet_is_taken(
    offline: list[str], not_installed: None, tmp_path: Path
) -> None:
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    url = torchvision.models.get_model_weights("resnet50").DEFAULT.url
    (folder / Path(url).name).touch()
    assert (resolved().backbone, offline) == ("resnet50", [])


def test_without_any_weights_one_line_says_what_to_do(offline: list[str], not_installed: None) -> None:
    with pytest.raises(UnavailableError) as caught:
        resolved()
    line = str(caught.value)
    assert line.startswith("backbone_weights=imagenet: the weights of resnet18 could not be downloaded")
    assert "--set backbone_weights=FILE.safetensors" in line
    assert "\n" not in line


def test_random_weights_need_neither(offline: list[str], not_installed: None) -> None:
    assert (resolved(backbone_weights="none").backbone, offline) == ("efficientnet-lite0", [])
