"""Mean teacher of the first autoencoder, which labels images that no one has marked.

The teacher's weights are a running mean of the student's. The student learns to predict for unlabelled
images, under another light and with rectangles exchanged, what the teacher predicts for the plain ones.
Source: Tarvainen & Valpola 2017; French et al. 2020 for segmentation. Letters: B, U images; C channels; H, W.
Deviations: the teacher counts only as far as the student has learned to tell marked pixels from others, or
the first plateau, where everything is surely background, would be taught; both losses are eq. 1's, so that
they agree on how much a defect weighs; the mean is over fewer steps at first, as training may be short.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from blemish.errors import BlemishError
from blemish.methods.casae.network.cascade import defect_probability, pixel_loss
from blemish.methods.casae.network.layers import standardised
from blemish.methods.casae.settings import CasaeSettings
from blemish.methods.common.warps import DEFECT, IGNORED
from blemish.methods.contract import Stage
from blemish.nn.averaging import share_kept


class MeanTeacher(nn.Module):
    """Student that learns and its teacher, in one module so that a checkpoint holds both.

    decay: share of itself that the teacher keeps at each step, see `share_kept`
    digests: `dataset.fingerprint.image_digests` of the unlabelled images; a checkpoint of others is refused
    """

    updates: Tensor
    trust: Tensor

    def __init__(self, student: nn.Module, *, decay: float, digests: Iterable[str] = ()) -> None:
        super().__init__()
        self.student = student
        self.teacher = deepcopy(student).requires_grad_(False).eval()
        self.decay = decay
        self.digest = hashlib.sha256(" ".join(digests).encode()).digest()
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.register_buffer("trust", torch.zeros(()))  # the name that checkpoints hold

    @property
    def reliability(self) -> Tensor:
        """Weight of the teacher's labels in [0, 1]: the student's running contrast on labelled images."""
        return self.trust

    def forward(self, images: Tensor) -> Tensor:
        """Logits of the student, [B, 2, H, W]. images: [B, C, H, W]"""
        logits: Tensor = self.student(images)
        return logits

    def train(self, mode: bool = True) -> MeanTeacher:
        """Set the student's mode; the teacher stays in eval mode."""
        super().train(mode)
        self.teacher.eval()
        return self

    @torch.no_grad()
    def follow(self) -> None:
        """Move the teacher's weights towards the student's, once after each step of the optimiser.

        Statistics of batches are copied, being running means themselves.
        """
        kept = share_kept(int(self.updates), self.decay)
        for own, other in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
            own.lerp_(other, 1 - kept)
        for statistic, latest in zip(self.teacher.buffers(), self.student.buffers(), strict=True):
            statistic.copy_(latest)
        self.updates += 1

    @torch.no_grad()
    def update_reliability(self, logits: Tensor, truth: Tensor) -> None:
        """Take in the student's contrast on a labelled batch, as slowly as the teacher takes in its weights.

        logits: [B, 2, H, W]; truth: [B, H, W]; a batch without marked pixels changes nothing
        """
        probability = defect_probability(logits)[:, 0]
        marked, others = truth == DEFECT, (truth != DEFECT) & (truth != IGNORED)
        if marked.any() and others.any():
            contrast = (probability[marked].mean() - probability[others].mean()).clamp(min=0)
            self.reliability.lerp_(contrast, 1 - share_kept(int(self.updates), self.decay))

    def get_extra_state(self) -> Tensor:
        """Digest of the unlabelled images, as part of a checkpoint."""
        return torch.tensor(list(self.digest), dtype=torch.uint8)

    def set_extra_state(self, state: Any) -> None:
        """Check the digest of a checkpoint. Raises BlemishError where it is of other unlabelled images."""
        if bytes(state.tolist()) != self.digest:
            raise BlemishError(
                "setting unlabelled: --resume needs the images that the run was started with. "
                "Received: others. Restore the folder, or choose another --out."
            )


def pseudo_labels(probability: Tensor, confidence: float) -> Tensor:
    """Labels [U, H, W]: 1 where the probability of a defect reaches `confidence`, 0 where that of none does,
    else −1; int64. probability: [U, H, W]
    """
    truth = torch.full_like(probability, IGNORED, dtype=torch.int64)
    truth[probability >= confidence] = 1
    truth[1 - probability >= confidence] = 0
    return truth


def mixed(values: Tensor, cut: Tensor) -> Tensor:
    """Replace each image where `cut` is by the next image; after the last comes the first.

    values: [U, C, H, W]; cut: [U, 1, H, W] bool
    """
    return torch.where(cut, values.roll(-1, dims=0), values)


def consistency(learner: MeanTeacher, batch: Mapping[str, Tensor], settings: CasaeSettings) -> Tensor:
    """Loss of eq. 1 between the student on mixed images and the teacher's labels, mixed alike; a scalar.

    batch: see `UnlabelledSource.draw`. The sum is divided by all pixels, so that it counts as far as the
    teacher is confident. Images are standardised before they are mixed, as the teacher sees them. The area
    of the teacher's labels tells nothing of a defect's size, nor their absence that an image is clean, so
    `area_balance`, `hard_clean_weight` and `dice_weight` are left to the masks.
    """
    with torch.no_grad():
        labels = pseudo_labels(defect_probability(learner.teacher(batch["plain"]))[:, 0], settings.confidence)
    labels = mixed(labels[:, None], batch["cut"])[:, 0]
    images = standardised(batch["jittered"]) if settings.standardises else batch["jittered"]
    plain = settings.model_copy(update={"area_balance": 0.0, "hard_clean_weight": 0.0, "dice_weight": 0.0})
    loss = pixel_loss(learner(mixed(images, batch["cut"])), labels, plain)
    return loss * (labels != IGNORED).float().mean()


def with_mean_teacher(
    stage: Stage,
    learner: MeanTeacher,
    unlabelled: Callable[[int, int], Mapping[str, Tensor]],
    settings: CasaeSettings,
) -> Stage:
    """Stage that trains `learner`, made of the stage's network; labelled batches stay as they are.

    unlabelled: step and rank to the batch of `consistency`, under other names than those of the stage's batch
    """

    def loss(network: Any, batch: Mapping[str, Tensor]) -> Tensor:
        logits = network(batch["images"])
        network.update_reliability(logits, batch["truth"])
        weight = settings.unlabelled_weight * batch["ramp"] * network.reliability
        return pixel_loss(logits, batch["truth"], settings) + weight * consistency(network, batch, settings)

    def optimiser(parameters: Iterable[nn.Parameter]) -> Optimizer:
        chosen = stage.optimiser(parameters)
        chosen.register_step_post_hook(lambda *_: learner.follow())
        return chosen

    def batch(step: int, rank: int) -> Mapping[str, Tensor]:
        return {**stage.batch(step, rank), **unlabelled(step, rank)}

    return replace(
        stage,
        network=learner,
        batch=batch,
        loss=loss,
        optimiser=optimiser,
        rate_shares={f"student.{part}": share for part, share in stage.rate_shares.items()},
        weight_average=0.0,  # the teacher is one
    )
