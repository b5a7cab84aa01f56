"""Image heads: log odds of cells and of whole images, and their loss."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from blemish.nn.image_head import CELL, UNKNOWN, ImageHead, head_loss


@pytest.fixture
def head() -> ImageHead:
    torch.manual_seed(0)
    head = ImageHead().eval()
    for parameter in (*head.cells.cells.parameters(), *head.cells.output.parameters()):
        torch.nn.init.normal_(parameter, std=0.3)
    return head


def test_gray_is_three_equal_channels_and_each_image_stands_by_itself(head: ImageHead) -> None:
    gray = torch.rand(3, 1, 64, 64)
    with torch.inference_mode():
        found = head(gray)
        assert found.shape == (3, 1)
        assert torch.allclose(found, head(gray.expand(-1, 3, -1, -1)), atol=1e-5)
        assert torch.allclose(head(gray.roll(1, 0)), found.roll(1, 0), atol=1e-5)


def test_an_image_turned_by_half_has_the_mean_log_odds_of_both(head: ImageHead) -> None:
    image = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        found = head(image)
        assert torch.allclose(found, head(torch.rot90(image, 2, (2, 3))), atol=1e-5)
        assert not torch.allclose(found, head(image.flip(3)), atol=1e-3), "a mirror image is another"
        apart = [head.cells(head.first_maps(each))[1] for each in (image, torch.rot90(image, 2, (2, 3)))]
        assert torch.allclose(found[:, 0], torch.stack(apart).mean(0), atol=1e-5)


def test_cells_are_16_pixels_a_side_and_the_image_s_log_odds_follow_the_surest(head: ImageHead) -> None:
    with torch.inference_mode():
        maps = head.first_maps(torch.rand(2, 1, 128, 128))
        cells, odds = head.cells(maps)
        assert cells.shape == (2, 128 // CELL, 128 // CELL)
        output = head.cells.output
        output.weight[:, :-2] = 0
        surest = cells.flatten(1).max(1).values  # of 64 cells, 2 % is one
        expected = output.weight[0, -2:].sum() * surest + output.bias
        assert torch.allclose(head.cells(maps)[1], expected, atol=1e-5)
        assert not torch.allclose(odds, expected)


def test_only_the_last_stage_and_what_is_behind_it_learn(head: ImageHead) -> None:
    assert not any(each.requires_grad for each in head.first.parameters())
    assert all(each.requires_grad for each in head.cells.output.parameters())
    learning = sum(each.numel() for each in head.cells.last.parameters() if each.requires_grad)
    assert learning > 400_000


def test_the_loss_is_that_of_images_and_of_known_cells() -> None:
    cells = torch.tensor([[[1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    odds = torch.tensor([[[2.0, -1.0], [0.5, -3.0]], [[-1.0, -2.0], [-0.5, 1.0]]])
    defective, of_images = torch.tensor([1.0, 0.0]), torch.tensor([0.3, -0.2])
    p = odds.sigmoid()
    entropy = -(cells * p.log() + (1 - cells) * (1 - p).log()).mean()
    dice = torch.stack(
        [1 - (2 * p[0, 0, 0] + 1) / (p[0].sum() + 2), 1 - 1 / (p[1].sum() + 1)],
    ).mean()
    of_labels = functional.binary_cross_entropy_with_logits(of_images, defective)
    torch.testing.assert_close(head_loss((odds, of_images), cells, defective), of_labels + 2 * entropy + dice)


def test_cells_that_nobody_knows_count_for_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    odds, of_images = torch.randn(2, 3, 3, generator=generator), torch.randn(2, generator=generator)
    cells, defective = torch.zeros(2, 3, 3), torch.tensor([1.0, 0.0])
    cells[0] = UNKNOWN
    found = head_loss((odds, of_images), cells, defective)
    changed = odds.clone()
    changed[0] += 5
    assert torch.equal(head_loss((changed, of_images), cells, defective), found)
    alone = head_loss((odds[1:], of_images), cells[1:], defective)
    torch.testing.assert_close(found, alone)
    none_known = head_loss((odds, of_images), torch.full_like(cells, UNKNOWN), defective)
    torch.testing.assert_close(none_known, functional.binary_cross_entropy_with_logits(of_images, defective))
