"""Shapes and strides of the maps, frozen parts, and a deformable stage that starts as a plain one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torchvision import transforms
from torchvision.models import resnet18
from torchvision.ops import DeformConv2d

from blemish.errors import BlemishError
from blemish.methods.tlsdd.network.extractor import DeformableConv, Extractor, new_extractor
from blemish.methods.tlsdd.settings import TlsddSettings


def small(**changes: object) -> TlsddSettings:
    return TlsddSettings(preset="tiny", width=8, **changes)


def made(**changes: object) -> Extractor:
    torch.manual_seed(0)
    return new_extractor(small(**changes))[0]


def noise_images(height: int = 64, width: int = 64, count: int = 1) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("changes", "names", "strides"),
    [
        ({"deepest": "layer4"}, ("0", "1", "2", "3", "pool"), (4, 8, 16, 32, 64)),
        ({"deepest": "layer3"}, ("0", "1", "2", "pool"), (4, 8, 16, 32)),
        ({"feature_fusion": False, "variant": "fr-joint"}, ("0",), (16,)),
        (
            {"feature_fusion": False, "variant": "fr-joint", "deepest": "layer4", "single_map": "layer4"},
            ("0",),
            (32,),
        ),
    ],
)
def test_maps_have_the_stated_names_strides_and_width(
    changes: dict, names: tuple[str, ...], strides: tuple[int, ...]
) -> None:
    extractor = made(**changes)
    assert (extractor.names, extractor.strides) == (names, strides)
    for height, width in ((64, 96), (65, 33)):
        maps = extractor(noise_images(height, width, 2))
        assert tuple(maps) == names
        for found, stride in zip(maps.values(), strides, strict=True):
            assert found.shape == (2, 8, -(-height // stride), -(-width // stride))


def test_resnet50_with_original_strides_has_the_same_maps() -> None:
    extractor = made(backbone="resnet50", backbone_strides="original")
    assert extractor.body["layer2"][0].conv1.stride == (2, 2)
    assert [found.shape[-1] for found in extractor(noise_images()).values()] == [16, 8, 4, 2]


def test_a_map_lies_where_its_stride_says() -> None:
    extractor = made(feature_fusion=False, variant="fr-joint")
    pixels = noise_images(128, 128).requires_grad_()
    extractor(pixels)["0"][0, :, 4, 2].sum().backward()
    weight = pixels.grad.abs().sum((0, 1))
    rows, columns = (weight.sum(axis) for axis in (1, 0))
    centre = [float((line * torch.arange(128)).sum() / line.sum()) for line in (rows, columns)]
    assert centre == pytest.approx([4 * 16, 2 * 16], abs=8)


@pytest.mark.parametrize(
    "changes", [{}, {"deformable": True}, {"feature_fusion": False, "variant": "fr-joint"}]
)
def test_training_and_evaluation_see_the_same_maps_and_change_nothing(changes: dict) -> None:
    extractor = made(**changes)
    before = {name: tensor.clone() for name, tensor in extractor.state_dict().items()}
    training = extractor.train()(noise_images(count=2))
    evaluation = extractor.eval()(noise_images(count=2))
    assert all(torch.equal(training[name], evaluation[name]) for name in training)
    assert all(torch.equal(tensor, before[name]) for name, tensor in extractor.state_dict().items())


def test_images_are_scaled_as_the_weights_expect_and_no_bundle_holds_the_scale() -> None:
    extractor = made()
    scaled = transforms.functional.normalize(noise_images(), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    reached: list[Tensor] = []
    extractor.body["stem"].register_forward_pre_hook(lambda _, images: reached.extend(images))
    extractor(noise_images())
    torch.testing.assert_close(reached[0], scaled)
    assert {name.split(".")[0] for name in extractor.state_dict()} == {"body", "fusion"}


def test_an_image_alone_gives_what_it_gives_in_a_batch() -> None:
    extractor = made()
    images = noise_images(count=2)
    alone, together = extractor(images[1:]), extractor(images)
    assert all(torch.allclose(alone[name], together[name][1:], atol=1e-5) for name in alone)


@pytest.mark.parametrize(
    ("stages", "frozen"),
    [(5, []), (2, ["stem", "layer1"]), (0, ["stem", "layer1", "layer2", "layer3"])],
)
def test_only_the_deepest_stages_learn(stages: int, frozen: list[str]) -> None:
    extractor = made(trainable_stages=stages)
    sum(found.square().sum() for found in extractor(noise_images()).values()).backward()
    reached = {
        name: any(p.grad is not None for p in part.parameters()) for name, part in extractor.body.items()
    }
    assert [name for name, learns in reached.items() if not learns] == frozen
    assert all(p.grad is not None for p in extractor.fusion.parameters())
    assert all(not p.requires_grad for name in frozen for p in extractor.body[name].parameters())


@pytest.mark.parametrize(("backbone", "count"), [("resnet18", 4), ("resnet50", 6)])
def test_a_deformable_stage_starts_as_the_plain_one(backbone: str, count: int) -> None:
    plain, deformable = made(backbone=backbone), made(backbone=backbone, deformable=True)
    deformed = [module for module in deformable.modules() if isinstance(module, DeformConv2d)]
    assert len(deformed) == count
    body = {name.replace(".conv.weight", ".weight"): one for name, one in deformable.state_dict().items()}
    plain.load_state_dict({name: one for name, one in body.items() if ".offset." not in name})
    expected, found = plain(noise_images()), deformable(noise_images())
    assert all(torch.allclose(expected[name], found[name], atol=1e-5, rtol=1e-4) for name in expected)


def test_offsets_learn_even_in_a_frozen_stage_and_move_samples() -> None:
    extractor = made(deformable=True, trainable_stages=0)
    before = extractor(noise_images())["2"]
    before.square().sum().backward()
    learning = [module for module in extractor.modules() if isinstance(module, DeformableConv)]
    assert all(module.offset.weight.grad.abs().sum() > 0 for module in learning)
    assert all(module.conv.weight.grad is None for module in learning)
    learning[0].offset.bias.data.fill_(0.5)
    assert not torch.allclose(before, extractor(noise_images())["2"], atol=1e-3)


def test_bf16_stays_bf16_between_norms_and_near_fp32() -> None:
    extractor = made(deformable=True).to(memory_format=torch.channels_last)
    exact = extractor(noise_images())["0"]
    with torch.autocast("cpu", torch.bfloat16):
        coarse = extractor(noise_images())["0"]
        assert extractor.body["stem"](noise_images()).dtype == torch.bfloat16
    assert coarse.dtype == torch.bfloat16
    assert (coarse.float() - exact).abs().max() < 0.05 * exact.abs().max()


def test_weights_of_a_file_reach_the_body_and_what_is_not_used_is_not_missed(tmp_path: Path) -> None:
    torch.manual_seed(5)
    source = resnet18()
    for module in source.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 2)
    source.eval()
    kept = {name: one for name, one in source.state_dict().items() if not name.startswith("layer4")}
    save_file(kept, tmp_path / "part.safetensors")
    extractor, origin = new_extractor(
        small(feature_fusion=False, variant="fr-joint", backbone_weights=str(tmp_path / "part.safetensors"))
    )
    assert origin == "resnet18: weights of part.safetensors"
    normalised = transforms.functional.normalize(noise_images(), [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    features = source.maxpool(source.relu(source.bn1(source.conv1(normalised))))
    expected = source.layer3(source.layer2(source.layer1(features)))
    assert torch.allclose(extractor(noise_images())["0"], extractor.fusion.lateral(expected), atol=1e-4)
    deeper = small(deepest="layer4", backbone_weights=str(tmp_path / "part.safetensors"))
    assert new_extractor(deeper)[1].endswith("part.safetensors; initial values in layer4")


def test_random_weights_neither_explode_nor_vanish() -> None:
    torch.manual_seed(0)
    extractor, _ = new_extractor(small(backbone="resnet50", deepest="layer4"))
    features = extractor.scaled(noise_images(64, 64))
    for stage in extractor.body.values():
        features = stage(features)
        assert 0.1 < float(features.detach().std()) < 10


def test_a_single_map_must_be_there() -> None:
    with pytest.raises(BlemishError, match=r"single_map must not lie deeper.*Received: layer4\. Use layer3"):
        new_extractor(small(feature_fusion=False, variant="fr-joint", single_map="layer4"))
