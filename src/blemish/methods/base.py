"""Defaults that most methods share, so that a method's object says only what is its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from blemish.bundle.manifest import Manifest
from blemish.bundle.store import Bundle
from blemish.dataset.samples import Dataset
from blemish.methods.contract import (
    Curves,
    Fitted,
    Inference,
    LearningSplit,
    Memory,
    MethodSettings,
    StageSteps,
    Summary,
    Trainer,
)

if TYPE_CHECKING:
    from torch import nn

SettingsOf = TypeVar("SettingsOf", bound=MethodSettings)


class BaseMethod(ABC, Generic[SettingsOf]):
    """A `contract.Method` without warm start, own memory or curves, which needs defects in both splits.

    A method's object derives from it and from the capabilities that it has, see `capabilities`.
    """

    name: str
    title: str
    summary: Summary
    settings_type: type[SettingsOf]
    memory_type: type[Memory] = Memory
    curves_type: type[Curves] = Curves
    supports_warm_start: bool = False
    needs_defects_in: tuple[LearningSplit, ...] = ("train", "val")
    stage_steps: tuple[StageSteps, ...] = ()
    cheaper: tuple[Mapping[str, Any], ...] = ()

    def resolved_settings(self, settings: SettingsOf, note: Callable[[str], None]) -> SettingsOf:
        """Settings as they are, none being left to what can be had."""
        return settings

    def rehearsed_settings(self, dataset: Dataset, settings: Any, start: Bundle | None) -> Any:
        """Settings as they are, none being left to the data."""
        return settings

    @abstractmethod
    def fit(self, dataset: Dataset, settings: Any, trainer: Trainer) -> Fitted:
        """Train on the splits "train" and "val" of the dataset."""

    @abstractmethod
    def modules(self, manifest: Manifest) -> dict[str, nn.Module]:
        """Build the networks of a bundle with initial weights, ready for its tensors."""

    @abstractmethod
    def inference(self, manifest: Manifest) -> Inference:
        """Set up the numpy half from a manifest."""

    def check_compatible(self, modules: Mapping[str, nn.Module], *, source: str) -> None:
        """Accept any networks whose tensors have the right shapes."""

    def settings(self, manifest: Manifest) -> SettingsOf:
        """Settings that a bundle was trained with."""
        return self.settings_type.model_validate(manifest.settings)
