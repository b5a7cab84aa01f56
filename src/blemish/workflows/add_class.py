"""Adding a class: from a bundle and a few boxed examples to a bundle with one more, and a report on it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from blemish.bundle.manifest import Manifest
from blemish.bundle.store import CERTIFICATE, DECISION, Bundle, load_bundle, save_bundle
from blemish.dataset.fingerprint import fingerprint, image_digests
from blemish.dataset.samples import Dataset
from blemish.errors import BlemishError, WrongUseError, refused_as_wrong_use
from blemish.evaluation.before_after import ClassChange, change_sentences, class_changes
from blemish.evaluation.records import ImageRecord
from blemish.evaluation.report.enrolment import EnrolmentReport, threshold_sentences, write_enrolment_report
from blemish.evaluation.run import evaluate_samples, without_other_classes
from blemish.folder_lock import folder_lock
from blemish.inspector.graph_backend import open_graphs, refuse_torch_options
from blemish.inspector.loading import (
    inspector_of,
    loaded_modules,
    method_of,
    refuse_exported,
    refuse_without_torch,
)
from blemish.methods.capabilities import ALARMS, AddsClasses, Exported, Negative
from blemish.methods.contract import Method
from blemish.progress import Reporter
from blemish.provenance import provenance
from blemish.workflows.edit_classes import IMAGES_OF_CLASS, own_images, refuse_odd_name
from blemish.workflows.evaluate import notes_on_known_images
from blemish.workflows.reading import read_dataset
from blemish.workflows.support_examples import (
    Examples,
    read_examples,
    read_false_alarms,
    read_good,
    training_set,
)
from blemish.workflows.train import read_settings

if TYPE_CHECKING:
    from torch import nn

CHECKED_FIRST = ("test", "val")  # splits that tell more than the images of a training


@dataclass(frozen=True)
class AddClassRequest:
    """A class to be added to a bundle.

    examples: dataset with its boxes; out: folder of the new bundle
    check: dataset with images of the older classes; fine_tune: train shortly, on these as well
    good: folder of good parts; negative: dataset whose boxes are false alarms; neither shows the class
    tune: fit the class to all regions of its examples' images, which takes seconds, if that finds as many
    alarms: false findings of the class on an image, on average, that its threshold lets pass; None: `ALARMS`
    skip_broken: leave out broken files of both, each with a line
    settings: of that training; command: the user's call, for the report
    """

    bundle: Path
    name: str
    examples: Path
    out: Path
    check: Path | None = None
    fine_tune: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    device: str = "auto"
    skip_broken: bool = False
    command: str = ""
    good: Path | None = None
    negative: Path | None = None
    tune: bool = True
    alarms: float | None = None

    @property
    def report(self) -> Path:
        """Folder of the report, beside the bundle, which holds no other files."""
        return self.out.with_name(f"{self.out.name}-report")

    @property
    def run(self) -> Path:
        """Folder of the short training."""
        return self.out.with_name(f"{self.out.name}-run")


def add_class(request: AddClassRequest, *, quiet: bool = False) -> Path:
    """Write the larger bundle, then its report; returns the bundle's path. A failure leaves no bundle.

    Raises WrongUseError for options that do not go together, BlemishError for a bundle that takes no class,
    and examples or images that cannot be used.
    """
    reporter = Reporter(quiet=quiet)
    with folder_lock(request.out, beside=True, note=reporter.line):
        refuse_odd_options(request)
        return Addition(request, reporter).run()


def refuse_odd_options(request: AddClassRequest) -> None:
    refuse_odd_name(request.name, "--name")
    if request.settings and not request.fine_tune:
        raise WrongUseError("--set is for --fine-tune. Add --fine-tune, or leave --set out.")
    if request.fine_tune and request.check is None:
        raise WrongUseError(
            "--fine-tune needs images of the older classes, or they are forgotten. Add --check DATA."
        )
    if request.fine_tune and not request.tune:
        raise WrongUseError("--fine-tune trains, and --no-training forbids it. Leave one of them out.")
    if request.fine_tune and (request.good or request.negative):
        option = "--good" if request.good else "--negative"
        raise WrongUseError(
            f"{option} is for a class that is added without training. Leave --fine-tune out, or add the good "
            "images to the training images of --check."
        )
    if request.alarms is not None and request.fine_tune:
        raise WrongUseError("--alarms is for a class that is added without training. Leave it out.")
    if request.alarms is not None and not 0 <= request.alarms < math.inf:
        raise WrongUseError(f"--alarms must be a number from 0 on, such as 0.1. Received: {request.alarms}.")
    if request.out.exists():
        raise BlemishError(f"{request.out} already exists. Choose another --out.")


@dataclass(frozen=True)
class Addition:
    """Work of one request: the bundle is read, enlarged, checked and written."""

    request: AddClassRequest
    reporter: Reporter

    def run(self) -> Path:
        started = perf_counter()
        self.check_before_work()
        for note in self.examples.notes:
            self.reporter.line(note)
        bundle, report = self.tuned() if self.request.fine_tune else self.enrolled()
        seconds = perf_counter() - started
        changes = self.changes(bundle)
        # The certificate stays behind: it was given to answers without this class.
        graphs = {name: file for name, file in bundle.other_files.items() if name != CERTIFICATE}
        saved = save_bundle(self.request.out, bundle.manifest, bundle.networks, other_files=graphs)
        report = replace(
            report,
            bundle=f"{self.request.out} ({saved.id})",
            seconds=seconds,
            changes=changes,
            sentences=(*report.sentences, *(change_sentences(changes) if changes else ())),
        )
        write_enrolment_report(self.request.report, report)
        for sentence in report.sentences:
            self.reporter.line(sentence)
        if (self.parent.path / DECISION).is_file():
            self.reporter.line(
                f"warning: the decision of {self.request.bundle} holds for that bundle alone. Decide again: "
                f"blemish decide {self.request.out} --data CALIB."
            )
        self.reporter.line(f"report: {self.request.report / 'report.html'}")
        return saved.path

    # What is read

    @cached_property
    def parent(self) -> Bundle:
        return load_bundle(self.request.bundle)

    @cached_property
    def method(self) -> Method:
        return method_of(self.parent)[0]

    @cached_property
    def enrolling(self) -> AddsClasses:
        if not isinstance(self.method, AddsClasses):
            name = self.parent.manifest.method
            raise BlemishError(
                f"{self.request.bundle}: method {name} learns its classes in training and takes no other "
                f"class. Train it again on data with '{self.request.name}': `blemish train {name}`."
            )
        return self.method

    @cached_property
    def examples(self) -> Examples:
        return read_examples(self.request.examples, self.request.name, skip_broken=self.request.skip_broken)

    @cached_property
    def negatives(self) -> list[Negative]:
        """Good parts and false alarms."""
        request = self.request
        found: list[Negative] = []
        if request.good is not None:
            found += read_good(request.good, self.reporter.line, skip_broken=request.skip_broken)
        if request.negative is not None:
            found += read_false_alarms(request.negative, skip_broken=request.skip_broken)
        return found

    @cached_property
    def check(self) -> Dataset | None:
        """Dataset of --check, for --fine-tune with the splits that a training needs."""
        if self.request.check is None:
            return None
        dataset = read_dataset(self.request.check, self.reporter, skip_broken=self.request.skip_broken)
        if not self.request.fine_tune:
            return dataset
        from blemish.training.run import with_validation

        return with_validation(dataset, self.request.seed, self.reporter)

    @cached_property
    def checked(self) -> tuple[str, Dataset] | None:
        """Split and images that the older classes are measured on: the first of test, val and all images.

        Images of other classes are left out. Raises BlemishError where no others are there.
        """
        if self.check is None:
            return None
        split = next((name for name in CHECKED_FIRST if self.check.splits.get(name)), "all")
        dataset, notes = without_other_classes(self.check.split(split), self.class_names, self.parent.id)
        for note in notes:
            self.reporter.line(note)
        return split, dataset

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.parent.manifest.class_names, self.request.name)))

    @property
    def extends(self) -> bool:
        """True where the bundle has the class, which takes more examples."""
        return self.request.name in self.parent.manifest.class_names

    def check_before_work(self) -> None:
        """Raise BlemishError, before any work, for a bundle that takes no class, or a name that is taken."""
        self.enrolling  # noqa: B018 - raises
        refuse_without_torch(self.parent)
        if self.extends:
            self.refuse_learned_class()
        if self.request.fine_tune:
            refuse_exported(self.parent)
        self.negatives  # noqa: B018 - raises
        self.checked  # noqa: B018 - raises

    def refuse_learned_class(self) -> None:
        """Raise BlemishError for a class that takes no more examples, or not in this way."""
        request, start = self.request, f"{self.request.bundle} already has a class '{self.request.name}'"
        if request.name not in self.enrolling.extendable(self.parent.manifest):
            raise BlemishError(f"{start}. Choose another --name.")
        if request.fine_tune:
            raise BlemishError(
                f"{start}. Leave --fine-tune out to add examples to it, or choose another --name."
            )

    # The two ways

    def enrolled(self) -> tuple[Bundle, EnrolmentReport]:
        """Bundle with the class from its examples' embeddings alone, and its report."""
        networks = opened_networks(self.parent, self.method, self.request.device)
        boxes, parent = self.examples.boxes, self.parent.manifest
        found = self.enrolling.enrol(
            networks,
            parent,
            self.request.name,
            boxes,
            self.negatives,
            tune=self.request.tune,
            alarms=ALARMS if self.request.alarms is None else self.request.alarms,
        )
        sentences = (*found.sentences, *threshold_sentences(self.request.name, found.threshold))
        added = (
            f"Examples added to '{self.request.name}': {len(boxes)}."
            if self.extends
            else f"'{self.request.name}' was added without training, from {len(boxes)} examples; the "
            "thresholds of images, and what they cost, were found without it."
        )
        manifest = parent.model_copy(
            update={
                "class_names": self.class_names,
                "memory": dict(found.memory),
                "metrics": {},  # those of the parent were measured without the class
                "notes": (*parent.notes, added, *sentences),
                "data": self.data(parent),
                "provenance": {
                    **provenance(),
                    "seed": parent.provenance.get("seed"),
                    "parent": self.parent.id,
                },
            }
        )
        report = replace(
            self.blank_report(),
            similarities=found.similarities,
            outcomes=found.outcomes,
            held_out=found.held_out,
            sentences=sentences,
            threshold=found.threshold,
        )
        # At the parent's place, where its graphs lie, until it is written to its own.
        return replace(
            self.parent, manifest=manifest, networks={**self.parent.networks, **found.networks}
        ), report

    def tuned(self) -> tuple[Bundle, EnrolmentReport]:
        """Bundle with the class from a short training, and its report; a second call goes on in its run."""
        from blemish.training.request import Request, refuse_unknown_rules
        from blemish.training.run import train

        request = self.request
        assert self.check is not None
        base = self.enrolling.tuning(self.parent.manifest, request.name, len(self.examples.boxes))
        with refused_as_wrong_use():
            settings = read_settings(self.method, None, request.settings, base)
            refuse_unknown_rules(settings)
        training = Request(
            self.method,
            training_set(self.check, self.examples, request.name),
            settings,
            request.run,
            seed=request.seed,
            resume=True,
            origin=str(request.check),
            initial_bundle=self.parent,
        )
        trained = train(training, self.reporter)
        made = {**trained.manifest.provenance, "parent": self.parent.id}
        manifest = trained.manifest.model_copy(update={"provenance": made})
        report = replace(self.blank_report(), trained=True, sentences=manifest.notes)
        return Bundle(request.out, manifest, trained.networks), report

    def data(self, parent: Manifest) -> dict[str, Any]:
        """Data entry of the manifest: the parent's, with the examples among the training images."""
        examples = Dataset(self.request.examples, self.examples.samples, (self.request.name,))
        digests = image_digests(examples)
        earlier = parent.data.get("added", {}).get(self.request.name, {})
        source = {
            "origin": str(self.request.examples),
            "data_fingerprint": fingerprint(examples),
            IMAGES_OF_CLASS: sorted({*digests, *earlier.get(IMAGES_OF_CLASS, ())} - own_images(parent)),
        }
        return {
            **parent.data,
            "trained_on": sorted({*parent.data.get("trained_on", ()), *digests}),
            "validated_on": sorted({*parent.data.get("validated_on", ())} - {*digests}),
            "added": {**parent.data.get("added", {}), self.request.name: source},
        }

    def blank_report(self) -> EnrolmentReport:
        made = provenance()
        return EnrolmentReport(
            name=self.request.name,
            bundle=str(self.request.out),
            parent=f"{self.request.bundle} ({self.parent.id})",
            examples=tuple(example.id for example in self.examples.boxes),
            seconds=0.0,
            checked=self.checked_text(),
            origin={
                "examples from": str(self.request.examples),
                **({"good parts from": str(self.request.good)} if self.request.good else {}),
                **({"false alarms from": str(self.request.negative)} if self.request.negative else {}),
                "command": self.request.command,
                "machine": made["hardware"],
                "made": made["created"],
            },
        )

    # The older classes before and after

    def checked_text(self) -> str:
        """Text on the images that the older classes are measured on; "" without such images."""
        if self.checked is None:
            return ""
        split, dataset = self.checked
        which = "all" if split == "all" else f"split {split}"
        return f"{len(dataset)} images ({which}) of {self.request.check}"

    def changes(self, bundle: Bundle) -> tuple[ClassChange, ...]:
        """Figures of each class on the images to check, with the parent and with the new bundle."""
        if self.checked is None:
            return ()
        dataset = self.checked[1]
        for note in notes_on_known_images(bundle.manifest, dataset):
            self.reporter.line(f"warning: {note}")
        before = self.records(self.parent, dataset, "inspecting as before")
        after = self.records(bundle, dataset, "inspecting with the new class")
        return class_changes(before, after, self.parent.manifest.class_names, self.class_names)

    def records(self, bundle: Bundle, dataset: Dataset, title: str) -> list[ImageRecord]:
        inspector = inspector_of(bundle, device=self.request.device, decided=False)
        return evaluate_samples(inspector, dataset, self.reporter, title=title).records


def opened_networks(bundle: Bundle, method: Method, device: str) -> Mapping[str, nn.Module] | Exported:
    """Networks of a bundle: graphs where it was exported, else modules in eval mode on the device.

    Raises BlemishError where bundle, method and device do not go together.
    """
    if bundle.manifest.runtime is not None:
        refuse_torch_options(bundle, device=device, bfloat16=False)
        return Exported(open_graphs(bundle), bundle.networks)
    from blemish.inspector.torch_backend import pick_device
    from blemish.nn.runtime import prepare_runtime

    prepare_runtime()
    return on_device(loaded_modules(bundle, method), pick_device(device))


def on_device(modules: dict[str, nn.Module], device: str) -> dict[str, nn.Module]:
    """Put networks into eval mode and on the device."""
    import torch

    for module in modules.values():
        module.eval().to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return modules
