"""Bundles of a record, each opened as it was: decision, threads and device; and what is not as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from blemish.bundle.store import Bundle, load_bundle, sha256_of
from blemish.decision.store import read_decision
from blemish.errors import BlemishError
from blemish.inspector.chain import Judge, as_judge, stages_of
from blemish.inspector.inspector import BundleInspector
from blemish.inspector.loading import inspector_of, used_bundle
from blemish.provenance import blemish_version
from blemish.record import InspectionRecord, UsedBundle
from blemish.threads import set_threads
from blemish.workflows.record_differences import NotReplayedError, short, values


@dataclass
class Judges:
    """Inspectors for the bundles that records name, each opened once.

    candidates: the user's bundles by folder; without any, bundles are loaded from their recorded paths
    """

    candidates: Mapping[Path, Bundle]
    loaded: dict[Path, Bundle] = field(default_factory=dict)
    opened: dict[str, tuple[Judge, tuple[str, ...]]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)  # why, so that each is tried once

    def find(self, history: InspectionRecord) -> tuple[Judge, tuple[str, ...]]:
        """Open the inspector or chain of a record; returns also how its decisions differ now.

        Raises NotReplayedError for a bundle that is not there, or is another one than recorded.
        """
        key = json.dumps([used.__dict__ for used in history.bundles], sort_keys=True, default=dict)
        if key in self.refused:
            raise NotReplayedError(self.refused[key])
        if key not in self.opened:
            try:
                stages, reasons = zip(*(self.stage(used) for used in history.bundles), strict=True)
                self.opened[key] = as_judge(stages), tuple(reason for reason in reasons if reason)
            except BlemishError as error:
                self.refused[key] = str(error)
                raise
        set_recorded_threads(history.bundles[-1])  # another record may have set another number
        return self.opened[key]

    def stage(self, used: UsedBundle) -> tuple[BundleInspector, str]:
        """Open a bundle under its recorded decision; returns also "" or how that decision differs now."""
        bundle = self.bundle(used)
        set_recorded_threads(used)
        device = str(used.runtime.get("device", "auto"))

        def opened(device: str) -> BundleInspector:
            return inspector_of(
                bundle,
                device=device,
                mm_per_px=used.mm_per_px,
                decided=False,
                input_check=used.input_check,
            )

        try:
            plain = opened(device)
        except BlemishError:
            if device != "cuda":
                raise
            device = "auto"  # the answer is compared all the same; a note says that the device is another
            plain = opened(device)
        if used.decision is None:
            return plain, ""
        file, reason = decision_file(bundle, used)
        decided = replace(plain, decision=read_decision(file, bundle=bundle.id))
        return replace(decided, used=used_bundle(bundle, decided, file, device=device)), reason

    def bundle(self, used: UsedBundle) -> Bundle:
        """Load the bundle with the recorded digest. Raises NotReplayedError where it is not to be found."""
        if not self.candidates and Path(used.path) not in self.loaded:
            try:
                self.loaded[Path(used.path)] = load_bundle(Path(used.path))
            except BlemishError as error:
                raise NotReplayedError(
                    f"bundle: recorded {used.id} in {used.path}; {error} "
                    "If it has moved, name it with --bundle."
                ) from error
        among = self.candidates or {Path(used.path): self.loaded[Path(used.path)]}
        for bundle in among.values():
            if bundle.digest == used.digest:
                return bundle
        there = [f"{folder} is {bundle.id} ({short(bundle.digest)})" for folder, bundle in among.items()]
        raise NotReplayedError(
            f"bundle: recorded {used.id} ({short(used.digest)}), {'; '.join(there)}. Name the recorded one "
            "with --bundle."
        )


def set_recorded_threads(used: UsedBundle) -> None:
    threads = used.runtime.get("threads")
    set_threads(threads if isinstance(threads, int) and threads > 0 else None)


def decision_file(bundle: Bundle, used: UsedBundle) -> tuple[Path, str]:
    """Find the recorded revision of the decision; returns its file, and "" or how its content differs now.

    Raises NotReplayedError where no such revision is stored.
    """
    files = sorted(bundle.path.glob("decision*.yaml"))
    digests = {file: sha256_of(file) for file in files}
    same = next((file for file in files if digests[file] == used.decision_sha256), None)
    if same is not None:
        return same, ""
    revisions = {read_decision(file, bundle=bundle.id).revision: file for file in files}
    if used.decision not in revisions:
        raise NotReplayedError(
            f"decision: {bundle.path} holds no revision {used.decision}; it has "
            f"{', '.join(map(str, sorted(revisions))) or 'none'}"
        )
    file = revisions[used.decision]
    return file, f"{file}: {values(short(used.decision_sha256), short(digests[file]))}"


def runtime_notes(history: InspectionRecord, judge: Judge) -> Iterator[str]:
    """Sentences on each part of software and runtime that is not as recorded."""
    if history.software != blemish_version():
        yield f"blemish: {values(history.software, blemish_version())}"
    for used, stage in zip(history.bundles, stages_of(judge), strict=True):
        here = stage.used.runtime if stage.used else {}
        for name in sorted({*used.runtime, *here}):
            if used.runtime.get(name) != here.get(name):
                of = f" of {used.id}" if len(history.bundles) > 1 else ""
                yield f"runtime{of}: {name}: {values(used.runtime.get(name), here.get(name))}"
