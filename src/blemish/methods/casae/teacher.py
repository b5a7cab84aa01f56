"""A mean teacher for the first autoencoder: it says what is to be found in images that no one has marked.

The teacher's weights are a running mean of the student's. The student is to say of unlabelled images, under
another light and with rectangles of them changed for one another, what the teacher says of the plain ones.
Source: Tarvainen & Valpola 2017; French et al. 2020 for segmentation. Letters: B, U images; C channels; H, W.
Deviations: the teacher is heard only as far as the student has learned to tell marked pixels from others, or
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
from blemish.methods.casae.layers import standardised
from blemish.methods.casae.network import defect_probability, pixel_loss
from blemish.methods.casae.settings import Settings
from blemish.methods.casae.truth import DEFECT, IGNORED
from blemish.methods.contract import Stage


class MeanTeacher(nn.Module):
    """A student that learns and its teacher, one module so that a checkpoint holds both.

    decay: share of itself that the teacher keeps at each step, see `share_kept`
    marks: `dataset.fingerprint.image_digests` of the unlabelled images; a checkpoint of others is refused
    """

    updates: Tensor
    trust: Tensor

    def __init__(self, student: nn.Module, *, decay: float, marks: Iterable[str] = ()) -> None:
        super().__init__()
        self.student = student
        self.teacher = deepcopy(student).requires_grad_(False).eval()
        self.decay = decay
        self.digest = hashlib.sha256(" ".join(marks).encode()).digest()
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.register_buffer("trust", torch.zeros(()))

    def forward(self, images: Tensor) -> Tensor:
        """The student's logits, [B, 2, H, W]."""
        logits: Tensor = self.student(images)
        return logits

    def train(self, mode: bool = True) -> MeanTeacher:
        """The student's mode; the teacher stays as it judges."""
        super().train(mode)
        self.teacher.eval()
        return self

    @torch.no_grad()
    def judged(self, images: Tensor, confidence: float) -> Tensor:
        """What the teacher says, [U, H, W]: 1 defect, 0 none, −1 where it is less sure than `confidence`."""
        return sure(defect_probability(self.teacher(images))[:, 0], confidence)

    @torch.no_grad()
    def follow(self) -> None:
        """Move the teacher's weights towards the student's: once after each step of the optimiser.

        Statistics of batches are taken over as they are, being running means themselves.
        """
        kept = share_kept(int(self.updates), self.decay)
        for own, other in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
            own.lerp_(other, 1 - kept)
        for statistic, latest in zip(self.teacher.buffers(), self.student.buffers(), strict=True):
            statistic.copy_(latest)
        self.updates += 1

    @torch.no_grad()
    def hear(self, logits: Tensor, truth: Tensor) -> None:
        """Take in how well the student tells a labelled batch, as slowly as the teacher takes in its weights.

        logits: [B, 2, H, W]; truth: [B, H, W]. A batch without marked pixels says nothing.
        """
        probability = defect_probability(logits)[:, 0]
        marked, others = truth == DEFECT, (truth != DEFECT) & (truth != IGNORED)
        if marked.any() and others.any():
            contrast = (probability[marked].mean() - probability[others].mean()).clamp(min=0)
            self.trust.lerp_(contrast, 1 - share_kept(int(self.updates), self.decay))

    def get_extra_state(self) -> Tensor:
        """The images' digest, as part of a checkpoint."""
        return torch.tensor(list(self.digest), dtype=torch.uint8)

    def set_extra_state(self, state: Any) -> None:
        """Raises BlemishError for a checkpoint of other unlabelled images, whose draws would be others."""
        if bytes(state.tolist()) != self.digest:
            raise BlemishError(
                "setting unlabelled: --resume needs the same images. Received: others than the run was "
                "started with. Restore the folder, or choose another --out."
            )


def share_kept(updates: int, decay: float) -> float:
    """Share of a running mean that is kept after so many updates: (1 + n) / (10 + n), at most `decay`."""
    return min(decay, (1 + updates) / (10 + updates))


def sure(probability: Tensor, confidence: float) -> Tensor:
    """1 where the probability of a defect reaches `confidence`, 0 where that of none does, else −1; int64."""
    truth = torch.full_like(probability, IGNORED, dtype=torch.int64)
    truth[probability >= confidence] = 1
    truth[1 - probability >= confidence] = 0
    return truth


def mixed(values: Tensor, cut: Tensor) -> Tensor:
    """Each image with the part of the next one in its place where `cut` is; the last one's next is the first.

    values: [U, C, H, W]; cut: [U, 1, H, W] bool
    """
    return torch.where(cut, values.roll(-1, dims=0), values)


def consistency(learner: MeanTeacher, batch: Mapping[str, Tensor], settings: Settings) -> Tensor:
    """Eq. 1 between the student on mixed images and the teacher's word, mixed alike; a scalar.

    batch: see `UnlabelledSource.draw`. Divided by all pixels: it counts as far as the teacher is sure. Images
    are standardised before they are mixed, as the teacher sees them; how few defective pixels the teacher
    finds in one says nothing, so `area_balance` is left to the masks.
    """
    said = mixed(learner.judged(batch["plain"], settings.confidence)[:, None], batch["cut"])[:, 0]
    lit = standardised(batch["lit"]) if settings.standardises else batch["lit"]
    by_area = settings.model_copy(update={"area_balance": 0.0})
    loss = pixel_loss(learner(mixed(lit, batch["cut"])), said, by_area)
    return loss * (said != IGNORED).float().mean()


def taught(
    stage: Stage,
    learner: MeanTeacher,
    unlabelled: Callable[[int, int], Mapping[str, Tensor]],
    settings: Settings,
) -> Stage:
    """The stage with `learner`, made of its network, in place of it; labelled batches stay as they are.

    unlabelled: step and rank to what `consistency` is given, under names that the stage's batches have not
    """

    def loss(network: Any, batch: Mapping[str, Tensor]) -> Tensor:
        logits = network(batch["images"])
        network.hear(logits, batch["truth"])
        weight = settings.unlabelled_weight * batch["ramp"] * network.trust
        return pixel_loss(logits, batch["truth"], settings) + weight * consistency(network, batch, settings)

    def optimiser(parameters: Iterable[nn.Parameter]) -> Optimizer:
        made = stage.optimiser(parameters)
        made.register_step_post_hook(lambda *_: learner.follow())
        return made

    def batch(step: int, rank: int) -> Mapping[str, Tensor]:
        return {**stage.batch(step, rank), **unlabelled(step, rank)}

    return replace(stage, network=learner, batch=batch, loss=loss, optimiser=optimiser)
