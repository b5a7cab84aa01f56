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
from blemish.dataset.samples import Dataset
from blemish.methods.common.warm_start import refuse_changed
from blemish.methods.contract import EarlyStopping, Fitted, Stage, Trainer, ValidationResult
from blemish.methods.medetection.memory import MedetectionCurves, MedetectionMemory, StoredValidation
from blemish.methods.medetection.network.difference import DifferenceNetwork
from blemish.methods.medetection.network.references import references_from
from blemish.methods.medetection.settings import OF_THE_NETWORK, MedetectionSettings
from blemish.methods.medetection.training.episodes import (
    MetaSource,
    Neighbours,
    PairBatch,
    Product,
    TuningSource,
    choose_references,
    fixed_pairs,
    support_query_split,
)
from blemish.methods.medetection.training.feature_cache import VIEWS, FeatureCache
from blemish.methods.medetection.training.maml import ImagePairs, episode_loss, query_logits
from blemish.methods.medetection.training.products import Products, digests_of_earlier_images, products_of
from blemish.methods.medetection.training.scoring import best_f1, mean_by_image, validation_figures
from blemish.nn.optimisation import adam
from blemish.nn.weights import load_state

START_FOLDER = "start"
# Measures that choose the best state: a start must rank images, fine-tuning then sets the probabilities.
META_CRITERION, CRITERION = "auroc", "log_likelihood"
CHUNK = 64  # pairs that pass the network together where nothing learns
CLASS_NAME = "defect"


def fit(dataset: Dataset, settings: MedetectionSettings, trainer: Trainer) -> Fitted:
    """Train on the splits "train" and "val"; returns the target's bundle, or a starting point without one.

    Raises BlemishError for a training image that shows the same as a test image, a product without normal or
    without defective images, and a target that the initial bundle was trained on.
    """
    refuse_leaks(dataset)
    return MedetectionTraining(dataset, settings, trainer, products_of(dataset, settings, trainer)).run()


@dataclass(frozen=True)
class MedetectionTraining:
    """Trains MeDetection once: meta-training, fine-tuning, references and threshold."""

    dataset: Dataset
    settings: MedetectionSettings
    trainer: Trainer
    products: Products

    def run(self) -> Fitted:
        for note in self.products.notes:
            self.trainer.note(note)
        self.read_target()
        network = self.new_network()
        self.compute_features(network)
        target, started = self.products.target, self.trainer.initial_bundle is not None
        meta = () if started or not self.products.others else self.meta_train(network)
        start = self.starting_point(network, meta) if meta else None
        if target is None:
            assert start is not None
            return start
        if not meta and not started:
            self.trainer.note(
                "There are no other products to learn from first: the comparison begins at random weights."
            )
        tuned = self.target_bundle(network, self.fine_tune(network))
        return replace(tuned, extra_models={START_FOLDER: start} if start else {})

    # Images

    @cached_property
    def cache(self) -> FeatureCache:
        return FeatureCache(self.dataset.samples, self.settings, lambda sample: self.trainer.read(sample, 3))

    def read_target(self) -> None:
        """Read the target's images, so that a broken one is found before hours of meta-training."""
        target = self.products.target
        own = () if target is None else (target, self.products.validation[target.name])
        for product in own:
            for number in (*product.normals, *product.defectives):
                self.cache.image(number)

    def compute_features(self, network: DifferenceNetwork) -> None:
        """Compute what a frozen stem makes of all images, so that every step costs only what learns."""
        products = self.products
        learned = (*products.others, *([products.target] if products.target else ()))
        pools = (*learned, *products.validation.values())
        numbers = [number for pool in pools for number in (*pool.normals, *pool.defectives)]
        samples = {self.dataset.samples[number]: number for number in numbers}
        for sample in self.trainer.track(list(samples), "computing features"):
            mirrored = self.settings.flips and sample.split == "train"
            self.cache.fill(network, samples[sample], views=VIEWS if mirrored else 1)

    @property
    def neighbours(self) -> Neighbours | None:
        return self.cache.nearest if self.settings.align == "nearest" else None

    # Networks

    def new_network(self) -> DifferenceNetwork:
        """Network of the initial bundle, or an untrained one."""
        torch.manual_seed(self.trainer.seed)
        start = self.trainer.initial_bundle
        if start is None:
            network = DifferenceNetwork(self.settings)
            self.trainer.note(network.origin)
            return network
        refuse_changed(self.settings, start, OF_THE_NETWORK)
        network = DifferenceNetwork(self.settings.model_copy(update={"backbone_weights": "none"}))
        load_state(network, start.networks["network"], str(start.path))
        return network

    def optimise(self, name: str, network: DifferenceNetwork, **parts: Any) -> tuple[ValidationResult, ...]:
        """Train the network in a stage of its own. parts: the other fields of `Stage`"""
        settings = self.settings
        betas = settings.beta1, settings.beta2
        return self.trainer.optimise(
            Stage(
                name=name,
                network=network,
                optimiser=lambda ps: adam(ps, betas=betas, weight_decay=settings.weight_decay),
                gradient_clip=settings.gradient_clip,
                cache=self.cache.use,
                **parts,
            )
        )

    # Meta-training

    def meta_train(self, network: DifferenceNetwork) -> tuple[ValidationResult, ...]:
        """Train over episodes of the other products (the outer loop), ending with the best state."""
        settings, seed = self.settings, self.trainer.seed
        pools = [
            support_query_split(product, settings.support_share, seed) for product in self.products.others
        ]
        source = MetaSource(settings, pools, seed, self.neighbours)
        self.trainer.note(f"meta-training on {', '.join(product.name for product in self.products.others)}")
        return self.optimise(
            "meta",
            network,
            steps=settings.meta_steps,
            batch=source.draw,
            loss=lambda _, batch: self.meta_loss(network, batch),
            learning_rate=lambda step: settings.meta_learning_rate,
            early_stopping=self.early_stopping(
                lambda: self.validate_adaptation(network, pools), META_CRITERION
            ),
        )

    def meta_loss(self, network: DifferenceNetwork, batch: Mapping[str, Tensor]) -> Tensor:
        """Mean over the step's products of the query loss after adapting to the support, eq. 5."""
        losses = []
        for place in range(len(batch["images"])):
            support, query = self.episode(network, {name: values[place] for name, values in batch.items()})
            losses.append(episode_loss(network, support, query, self.settings))
        return torch.stack(losses).mean()

    def episode(
        self, network: DifferenceNetwork, drawn: Mapping[str, Tensor]
    ) -> tuple[ImagePairs, ImagePairs]:
        """Support and query of an episode. drawn: fields of `PairBatch`, supports first"""
        pairs = self.cache.pairs(network, drawn)
        return pairs[: self.settings.support], pairs[self.settings.support :]

    def validate_adaptation(
        self, network: DifferenceNetwork, pools: Sequence[tuple[Product, Product]]
    ) -> dict[str, float]:
        """Mean figures over products of their validation images, judged after the inner steps."""
        figures = []
        for number, (support, judged) in self.held_out(pools).items():
            source = MetaSource(self.settings, [(support, judged)], self.trainer.seed, self.neighbours)
            drawn = {name: values[0] for name, values in source.draw(number, rank=1).items()}
            pairs = self.episode(network, drawn)
            with torch.enable_grad():
                logits = query_logits(network, *pairs, self.settings)
            probabilities = torch.softmax(logits.detach().float(), 1)[:, 1].cpu().double().numpy()
            figures.append(validation_figures(probabilities, pairs[1].labels.cpu().numpy()))
        return {name: float(np.mean([of_product[name] for of_product in figures])) for name in figures[0]}

    def held_out(self, pools: Sequence[tuple[Product, Product]]) -> dict[int, tuple[Product, Product]]:
        """Support pools with the images judged after adapting to them, by number of the product.

        Judged are images of "val", of products with both kinds there; where no product has, the query pools.
        """
        validation = self.products.validation
        found = {
            number: (support, validation[support.name])
            for number, (support, _) in enumerate(pools)
            if support.name in validation
        }
        return found or dict(enumerate(pools))

    def starting_point(self, network: DifferenceNetwork, validations: Sequence[ValidationResult]) -> Fitted:
        """Bundle of the meta-trained network, from which fine-tuning on any other product can begin."""
        names = [product.name for product in self.products.others]
        size = self.settings.size
        # Fine-tuning goes on with the network itself; this bundle must keep its present weights.
        frozen = DifferenceNetwork(self.settings.model_copy(update={"backbone_weights": "none"}))
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
            curves=MedetectionCurves(meta=training_curve(validations, META_CRITERION, 1)),
            memory=MedetectionMemory(product="", products=tuple(names), references=()),
            notes=self.products.notes,
            dataset=self.products.of_others,
            settings=self.settings.model_copy(update={"target": None, "others": (), "shots": None}),
            can_inspect=False,
        )

    # Fine-tuning

    def fine_tune(self, network: DifferenceNetwork) -> tuple[ValidationResult, ...]:
        """Train on the target, ending with the best state."""
        settings, target = self.settings, self.target
        source = TuningSource(settings, target, self.trainer.seed, self.neighbours)
        return self.optimise(
            "tune",
            network,
            steps=settings.steps,
            batch=source.draw,
            loss=lambda _, batch: self.tuning_loss(network, batch),
            learning_rate=lambda step: settings.learning_rate,
            early_stopping=self.early_stopping(lambda: self.validate_target(network), CRITERION),
        )

    def tuning_loss(self, network: DifferenceNetwork, batch: Mapping[str, Tensor]) -> Tensor:
        """Cross-entropy of a batch of fine-tuning."""
        pairs = self.cache.pairs(network, batch)
        return F.cross_entropy(logits_of(network, pairs, self.settings, num_support=len(pairs)), pairs.labels)

    def validate_target(self, network: DifferenceNetwork) -> dict[str, float]:
        """Figures of the target's validation images, judged as inspection does."""
        return validation_figures(*self.predict_validation(network))

    def predict_validation(self, network: DifferenceNetwork) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Probability and label of each validation image of the target, [N] each."""
        drawn = self.validation_pairs
        tensors = drawn.tensors()
        logits = []
        for first in range(0, len(drawn.images), CHUNK):
            chunk = {name: values[first : first + CHUNK] for name, values in tensors.items()}
            with torch.no_grad():
                pairs = self.cache.pairs(network, chunk)
                logits.append(logits_of(network, pairs, self.settings, num_support=None).float().cpu())
        single = torch.softmax(torch.cat(logits), 1)[:, 1].double().numpy()
        return mean_by_image(single, drawn.images, drawn.labels)

    @cached_property
    def validation_pairs(self) -> PairBatch:
        """Validation images of the target with the references that the bundle will hold."""
        product = self.products.validation[self.target.name]
        count = self.settings.references if self.settings.siamese else 1
        return fixed_pairs(product, self.references, count, self.neighbours)

    @cached_property
    def references(self) -> tuple[int, ...]:
        """Numbers of the training normals that images are compared with."""
        numbers = {self.dataset.samples[number].id: number for number in self.target.normals}
        chosen = choose_references(list(numbers), self.settings.num_kept_references, self.trainer.seed)
        return tuple(numbers[sample_id] for sample_id in chosen)

    @property
    def target(self) -> Product:
        """The product to inspect; there is one except in meta-training alone."""
        assert self.products.target is not None
        return self.products.target

    def early_stopping(self, measure: Callable[[], dict[str, float]], criterion: str) -> EarlyStopping:
        settings = self.settings
        return EarlyStopping(settings.check_every, lambda _: measure(), criterion, settings.patience)

    def target_bundle(self, network: DifferenceNetwork, validations: Sequence[ValidationResult]) -> Fitted:
        """Bundle of the target: network, references, threshold, and the course of training."""
        threshold = self.settings.threshold
        if threshold is None:
            threshold = best_f1(*self.predict_validation(network))
        images = np.stack([self.cache.image(number) for number in self.references])
        ids = [self.dataset.samples[number].id for number in self.references]
        # Steps in which as many images are drawn as the target has for training.
        epoch = (len(self.target.normals) + len(self.target.defectives)) / self.settings.batch
        return Fitted(
            modules={"network": network, "references": references_from(images)},
            class_names=self.products.of_target.class_names or (CLASS_NAME,),
            channels=3,
            thresholds={"score": threshold},
            tiling={},
            curves=MedetectionCurves(adaptation=training_curve(validations, CRITERION, epoch)),
            memory=MedetectionMemory(
                product=self.target.name, products=self.trained_on, references=tuple(ids)
            ),
            notes=self.products.notes,
            dataset=self.products.of_target,
            trained_on_before=digests_of_earlier_images(self.products, self.trainer.initial_bundle),
        )

    @property
    def trained_on(self) -> tuple[str, ...]:
        """Products learned from before the target: those of meta-training, here or in the initial bundle, and
        the initial bundle's own target.
        """
        start = self.trainer.initial_bundle
        if start is None:
            return tuple(product.name for product in self.products.others)
        memory = MedetectionMemory.model_validate(start.manifest.memory)
        names = dict.fromkeys([*memory.products, memory.product])
        return tuple(name for name in names if name and name != self.target.name)


def logits_of(
    network: DifferenceNetwork, pairs: ImagePairs, settings: MedetectionSettings, *, num_support: int | None
) -> Tensor:
    """Logits [N, 2] of pairs. num_support: see `nn.norms`; None: by stored statistics, as inference does"""
    if settings.stem_learns:
        return network.logits(torch.cat([pairs.references, pairs.images], 1), num_support)
    return network.body(pairs.references, pairs.images, num_support)


def training_curve(validations: Sequence[ValidationResult], criterion: str, epoch: float) -> StoredValidation:
    """Validation figures by step for the report, and the step of the best. epoch: steps that make one"""
    best = max(validations, key=lambda result: result.values[criterion])
    return StoredValidation(
        best_step=best.step,
        epochs=best.step / epoch,
        steps_of_epoch=epoch,
        looks=tuple({"step": result.step, **result.values} for result in validations),
    )
