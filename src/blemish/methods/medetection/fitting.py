"""Training MeDetection: meta-training on other products → fine-tuning on the target → references → threshold.

Source: Zhang et al. 2023, Algorithm 1 and "Experimental details". Reads the splits "train" and "val" and
nothing else; the target takes no part in meta-training, references are training normals, and both trainings
end by validation images. Letters: N pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from blemish.dataset.quality.leaks import refuse_leaks
from blemish.dataset.samples import Dataset, Sample
from blemish.methods.common.warm_start import refuse_changed
from blemish.methods.contract import EarlyStopping, Fitted, Stage, Trainer, ValidationResult
from blemish.methods.medetection.episodes import (
    Drawn,
    EpisodeSource,
    Neighbours,
    Product,
    TuningSource,
    fixed_pairs,
    halves,
)
from blemish.methods.medetection.gallery import Gallery
from blemish.methods.medetection.maml import Pairs, episode_loss, query_logits
from blemish.methods.medetection.memory import MedetectionCurves, MedetectionMemory, StoredValidation
from blemish.methods.medetection.network import DifferenceNetwork
from blemish.methods.medetection.products import Products, products_of, seen_before
from blemish.methods.medetection.references import choose, kept, references_from
from blemish.methods.medetection.scoring import auroc, best_f1, mean_by_image, recall_at
from blemish.methods.medetection.settings import OF_THE_NETWORK, Settings
from blemish.nn.optimisation import adam
from blemish.nn.weights import load_state

START_FOLDER = "start"
# What decides which state is kept: a start must tell images apart, how sure it is fine-tuning settles.
META_CRITERION, CRITERION = "auroc", "log_likelihood"
CHUNK = 64  # pairs that pass the network together where nothing learns
CLASS_NAME = "defect"


def fit(dataset: Dataset, settings: Settings, trainer: Trainer) -> Fitted:
    """Train on the splits "train" and "val"; the bundle of the target, or a starting point without one.

    Raises BlemishError for a picture of a test image in training, a product without normal or without
    defective images, and a target that the start has been trained on.
    """
    refuse_leaks(dataset)
    return Fitting(dataset, settings, trainer, products_of(dataset, settings, trainer)).run()


@dataclass(frozen=True)
class Fitting:
    """One training."""

    dataset: Dataset
    settings: Settings
    trainer: Trainer
    products: Products

    def run(self) -> Fitted:
        for note in self.products.notes:
            self.trainer.note(note)
        self.read_target()
        network = self.new_network()
        target, started = self.products.target, self.trainer.initial_bundle is not None
        meta = () if started or not self.products.others else self.meta_train(network)
        start = self.start(network, meta) if meta else None
        if target is None:
            assert start is not None
            return start
        if not meta and not started:
            self.trainer.note("no other products to learn from first: fine-tuning begins at random weights")
        looks = self.fine_tune(network)
        tuned = self.finished(network, looks)
        return replace(tuned, extra_models={START_FOLDER: start} if start else {})

    # What is seen

    @cached_property
    def gallery(self) -> Gallery:
        return Gallery(self.dataset.samples, self.settings, self.read)

    def read(self, sample: Sample) -> NDArray[Any]:
        return self.trainer.read(sample, 3)

    def read_target(self) -> None:
        """Read its pictures now: a broken one is found before hours of meta-training, not behind them."""
        target = self.products.target
        own = () if target is None else (target, self.products.validation[target.name])
        for product in own:
            for number in (*product.normals, *product.defectives):
                self.gallery.picture(number)

    @property
    def neighbours(self) -> Neighbours | None:
        return self.gallery.nearest if self.settings.align == "nearest" else None

    # Networks

    def new_network(self) -> DifferenceNetwork:
        """The start's network, or one before any training."""
        torch.manual_seed(self.trainer.seed)
        start = self.trainer.initial_bundle
        if start is None:
            network = DifferenceNetwork(self.settings)
            self.trainer.note(network.origin)
            return network
        refuse_changed(self.settings, start, OF_THE_NETWORK)
        network = DifferenceNetwork(self.settings.model_copy(update={"stem_weights": "none"}))
        load_state(network, start.networks["network"], str(start.path))
        return network

    def stage(self, name: str, network: DifferenceNetwork, **parts: Any) -> tuple[ValidationResult, ...]:
        settings = self.settings
        betas = settings.beta1, settings.beta2
        return self.trainer.optimise(
            Stage(
                name=name,
                network=network,
                optimiser=lambda ps: adam(ps, betas=betas, weight_decay=settings.weight_decay),
                gradient_clip=settings.gradient_clip,
                **parts,
            )
        )

    # Meta-training

    def meta_train(self, network: DifferenceNetwork) -> tuple[ValidationResult, ...]:
        """The outer loop over the other products; the network of the best look."""
        settings, seed = self.settings, self.trainer.seed
        pools = [halves(product, settings.support_share, seed) for product in self.products.others]
        source = EpisodeSource(settings, pools, seed, self.neighbours)
        self.trainer.note(f"meta-training on {', '.join(one.name for one in self.products.others)}")
        return self.stage(
            "meta",
            network,
            steps=settings.meta_steps,
            batch=source.draw,
            loss=lambda _, batch: self.meta_loss(network, batch),
            learning_rate=lambda step: settings.meta_rate,
            early_stopping=self.watch(lambda: self.meta_look(network, pools), META_CRITERION),
        )

    def meta_loss(self, network: DifferenceNetwork, batch: Mapping[str, Tensor]) -> Tensor:
        """Mean over the step's products of the query loss after adapting to the support, eq. 5."""
        losses = [
            episode_loss(network, *self.episode(network, batch, place), self.settings)
            for place in range(len(batch["images"]))
        ]
        return torch.stack(losses).mean()

    def episode(
        self, network: DifferenceNetwork, batch: Mapping[str, Tensor], place: int
    ) -> tuple[Pairs, Pairs]:
        """Support and query of one product of a step."""
        pairs = self.gallery.pairs(network, {name: values[place] for name, values in batch.items()})
        return part(pairs, slice(0, self.settings.support)), part(pairs, slice(self.settings.support, None))

    def meta_look(
        self, network: DifferenceNetwork, pools: Sequence[tuple[Product, Product]]
    ) -> dict[str, float]:
        """How well the network adapts to each product: its validation images judged after the inner steps."""
        found = []
        for number, (support, judged) in self.held_out(pools).items():
            source = EpisodeSource(self.settings, [(support, judged)], self.trainer.seed, self.neighbours)
            drawn = {name: values[0] for name, values in source.draw(number, rank=1).items()}
            pairs = self.gallery.pairs(network, drawn)
            count = self.settings.support
            with torch.enable_grad():
                logits = query_logits(
                    network, part(pairs, slice(0, count)), part(pairs, slice(count, None)), self.settings
                )
            found.append(figures(logits.detach().float(), pairs.labels[count:]))
        return {name: float(np.mean([one[name] for one in found])) for name in found[0]}

    def held_out(self, pools: Sequence[tuple[Product, Product]]) -> dict[int, tuple[Product, Product]]:
        """Supports with the images judged after them, by number: those of "val", of products with both kinds
        there; where none has, the query pools.
        """
        validation = self.products.validation
        found = {
            number: (support, validation[support.name])
            for number, (support, _) in enumerate(pools)
            if support.name in validation
        }
        return found or dict(enumerate(pools))

    def start(self, network: DifferenceNetwork, looks: Sequence[ValidationResult]) -> Fitted:
        """The meta-trained network as a bundle that fine-tuning on any other product can begin from."""
        names = [product.name for product in self.products.others]
        size = self.settings.size
        # Fine-tuning goes on with the network itself; the bundle of its start must not follow it.
        frozen = DifferenceNetwork(self.settings.model_copy(update={"stem_weights": "none"}))
        frozen.load_state_dict(network.state_dict())
        return Fitted(
            modules={
                "network": frozen,
                "references": references_from(np.zeros((0, size, size, 3), np.uint8)),
            },
            class_names=(CLASS_NAME,),
            channels=3,
            thresholds={},
            tiling={},
            curves=MedetectionCurves(meta=described(looks, META_CRITERION, 1)),
            memory=MedetectionMemory(product="", products=tuple(names), references=()),
            notes=self.products.notes,
            dataset=self.products.of_others,
            settings=self.settings.model_copy(update={"target": None, "others": (), "shots": None}),
            can_inspect=False,
        )

    # Fine-tuning

    def fine_tune(self, network: DifferenceNetwork) -> tuple[ValidationResult, ...]:
        settings, target = self.settings, self.target
        source = TuningSource(settings, target, self.trainer.seed, self.neighbours)
        return self.stage(
            "tune",
            network,
            steps=settings.steps,
            batch=source.draw,
            loss=lambda _, batch: self.tuning_loss(network, batch),
            learning_rate=lambda step: settings.rate,
            early_stopping=self.watch(lambda: self.tuning_look(network), CRITERION),
        )

    def tuning_loss(self, network: DifferenceNetwork, batch: Mapping[str, Tensor]) -> Tensor:
        pairs = self.gallery.pairs(network, batch)
        return F.cross_entropy(logits_of(network, pairs, self.settings, given=len(pairs)), pairs.labels)

    def tuning_look(self, network: DifferenceNetwork) -> dict[str, float]:
        """The validation images of the target, judged as inspection does."""
        probabilities, labels = self.judged(network)
        return figures_of(probabilities, labels)

    def judged(self, network: DifferenceNetwork) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Probability of each validation image of the target, and its label."""
        drawn = self.validation_pairs
        tensors = drawn.tensors()
        logits = []
        for first in range(0, len(drawn.images), CHUNK):
            chunk = {name: values[first : first + CHUNK] for name, values in tensors.items()}
            with torch.no_grad():
                pairs = self.gallery.pairs(network, chunk)
                logits.append(logits_of(network, pairs, self.settings, given=None).float().cpu())
        single = torch.softmax(torch.cat(logits), 1)[:, 1].double().numpy()
        return mean_by_image(single, drawn.images, drawn.labels)

    @cached_property
    def validation_pairs(self) -> Drawn:
        """The target's validation images with the references that the bundle will hold."""
        product = self.products.validation[self.target.name]
        count = self.settings.references if self.settings.siamese else 1
        return fixed_pairs(product, self.references, count, self.neighbours)

    @cached_property
    def references(self) -> tuple[int, ...]:
        """Numbers of the training normals that images are compared with."""
        numbers = {self.dataset.samples[number].id: number for number in self.target.normals}
        chosen = choose(list(numbers), kept(self.settings), self.trainer.seed)
        return tuple(numbers[one] for one in chosen)

    @property
    def target(self) -> Product:
        assert self.products.target is not None
        return self.products.target

    def watch(self, measure: Callable[[], dict[str, float]], criterion: str) -> EarlyStopping:
        settings = self.settings
        return EarlyStopping(settings.check_every, lambda _: measure(), criterion, settings.patience)

    def finished(self, network: DifferenceNetwork, looks: Sequence[ValidationResult]) -> Fitted:
        """The bundle of the target: references, threshold, and how training went."""
        probabilities, labels = self.judged(network)
        threshold = self.settings.threshold
        pictures = [self.gallery.picture(number) for number in self.references]
        ids = [self.dataset.samples[number].id for number in self.references]
        return Fitted(
            modules={"network": network, "references": references_from(np.stack(pictures))},
            class_names=self.products.of_target.class_names or (CLASS_NAME,),
            channels=3,
            thresholds={"score": best_f1(probabilities, labels) if threshold is None else threshold},
            tiling={},
            curves=MedetectionCurves(adaptation=described(looks, CRITERION, self.epoch)),
            memory=MedetectionMemory(
                product=self.target.name, products=self.trained_on, references=tuple(ids)
            ),
            notes=self.products.notes,
            dataset=self.products.of_target,
            trained_on_before=seen_before(self.products, self.trainer.initial_bundle),
        )

    @property
    def epoch(self) -> float:
        """Steps in which as many images are drawn as the target has for training."""
        return (len(self.target.normals) + len(self.target.defectives)) / self.settings.batch

    @property
    def trained_on(self) -> tuple[str, ...]:
        """The products learned from before the target: those of meta-training, here or in the start, and the
        start's own.
        """
        start = self.trainer.initial_bundle
        if start is None:
            return tuple(product.name for product in self.products.others)
        memory = MedetectionMemory.model_validate(start.manifest.memory)
        names = dict.fromkeys([*memory.products, memory.product])
        return tuple(name for name in names if name and name != self.target.name)


def logits_of(network: DifferenceNetwork, pairs: Pairs, settings: Settings, *, given: int | None) -> Tensor:
    """Logits [N, 2]. given: see `nn.norms`; None: as in use, by stored statistics"""
    if settings.stem_learns:
        return network.logits(torch.cat([pairs.references, pairs.images], 1), given)
    return network.body(pairs.references, pairs.images, given)


def part(pairs: Pairs, rows: slice) -> Pairs:
    return Pairs(pairs.references[rows], pairs.images[rows], pairs.labels[rows])


def figures(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Of logits [N, 2]: see `figures_of`."""
    probabilities = torch.softmax(logits, 1)[:, 1].cpu().double().numpy()
    return figures_of(probabilities, labels.cpu().numpy())


def figures_of(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> dict[str, float]:
    """What a look measures: mean log likelihood, AUROC, and recall and accuracy at probability 0.5."""
    right = np.where(labels == 1, probabilities, 1 - probabilities)
    return {
        "log_likelihood": float(np.log(np.maximum(right, 1e-7)).mean()),
        "auroc": auroc(probabilities, labels),
        "recall": recall_at(0.5, probabilities, labels),
        "accuracy": float((right > 0.5).mean()),
    }


def described(looks: Sequence[ValidationResult], criterion: str, epoch: float) -> StoredValidation:
    """The looks for the report: steps, epochs and what was measured, and which look was best."""
    values = [look.values[criterion] for look in looks]
    best = looks[values.index(max(values))]
    return StoredValidation(
        best_step=best.step,
        epochs=best.step / epoch,
        steps_of_epoch=epoch,
        looks=tuple({"step": look.step, **look.values} for look in looks),
    )
