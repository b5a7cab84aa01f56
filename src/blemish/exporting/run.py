"""Export of a bundle to one that runs without torch, written only if both give the same answers.

Graph plans of the method → ONNX → (int8) → files for ONNX Runtime or OpenVINO → a draft bundle → its
certificate → the bundle in place. If anything fails, the folder to be written stays as it was.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from blemish.bundle.faults import first_fault
from blemish.bundle.manifest import Manifest, StoredGraph, StoredRuntime, parse_manifest
from blemish.bundle.store import (
    CERTIFICATE,
    DECISION,
    MANIFEST,
    Bundle,
    changeable_of,
    load_bundle,
    replace_folder,
    save_bundle,
)
from blemish.decision.store import decision_text, stored_decision, write_decision
from blemish.errors import BlemishError
from blemish.exporting.certificate import TOLERANCES, Certificate, certificate_rows
from blemish.exporting.comparison_images import comparison_images
from blemish.exporting.graph_files import as_openvino, read_onnx, write_onnx, write_openvino
from blemish.exporting.metric import MetricDrop, measure_drop, validation_of
from blemish.exporting.onnx_models import OPSET, onnx_model, stored_inputs
from blemish.exporting.quantise import quantised, recorded
from blemish.exporting.request import ExportRequest, Precision, RuntimeKind
from blemish.files import write_atomically
from blemish.folder_lock import folder_lock
from blemish.images.tiling import Tiling
from blemish.inspector.inspector import BundleInspector
from blemish.inspector.loading import inspector_of, loaded_modules, method_of, refuse_exported
from blemish.methods.capabilities import ExportsGraphs, GraphPlan
from blemish.methods.common.graphs import FIXED_SIDE
from blemish.methods.contract import Method
from blemish.optional_dependencies import require_package
from blemish.progress import Reporter

GraphFiles = Mapping[str, tuple[Path, ...]]
WRITTEN_BY = ("onnx", "onnxscript", "onnxruntime")  # needed for any runtime


def export_bundle(request: ExportRequest, reporter: Reporter) -> Path:
    """Write the exported bundle to `request.out`, with its certificate; returns its path.

    Raises BlemishError for a bundle or settings that cannot be exported, and where the answers of the
    bundles differ by more than is allowed: the failed certificate is then OUT-certificate.json.
    """
    with folder_lock(request.out, beside=True, note=reporter.line):
        refuse_before_work(request)
        with tempfile.TemporaryDirectory(prefix=f".{request.out.name}.", dir=request.out.parent) as folder:
            return Export(request, reporter, Path(folder)).run()


def refuse_before_work(request: ExportRequest) -> None:
    """Raises BlemishError, before any work, for an exported bundle, a folder in use, or a missing package."""
    refuse_exported(request.bundle)
    out = request.out
    if out.exists() and not (out / MANIFEST).is_file():
        raise BlemishError(f"{out} exists and is no bundle; it is not overwritten. Choose another --out.")
    if request.bundle.path.resolve() in (out.resolve(), *out.resolve().parents):
        raise BlemishError(
            f"--out must not be the bundle itself or lie in it. Received: {out}. Choose another --out."
        )
    if out.exists() and parse_manifest((out / MANIFEST).read_bytes(), out / MANIFEST).runtime is None:
        raise BlemishError(
            f"{out} is a bundle with weights, which an export never overwrites. Choose another --out."
        )
    for package in WRITTEN_BY:
        require_package(package, "blemish export")
    if request.kind == "openvino":
        require_package("openvino", "--to openvino")
    if request.precision == "int8":
        require_package("nncf", "--precision int8")


@dataclass
class Export:
    """An export under way. folder: for drafts; notes: sentences for the certificate"""

    request: ExportRequest
    reporter: Reporter
    folder: Path
    notes: list[str] = field(default_factory=list)

    def run(self) -> Path:
        request, reporter = self.request, self.reporter
        plans = self.plans
        reporter.line(f"1/3 writing graphs: {', '.join(plans)}")
        files = self.graph_files(plans)
        runtime = self.runtime(request.kind, request.precision, files)
        draft = self.saved("draft", runtime, files)
        reporter.line("2/3 comparing both bundles on the same images")
        certificate = self.certificate(draft)
        text = certificate.to_json()
        failed = request.out.with_name(f"{request.out.name}-{CERTIFICATE}")
        if certificate.failures:
            write_atomically(failed, text)
            raise BlemishError(
                f"The exported bundle answers differently: {'; '.join(certificate.failures)}. "
                f"No bundle was written; {failed} has every image."
            )
        reporter.line("3/3 writing the bundle")
        write_atomically(self.folder / CERTIFICATE, text)
        whole = self.saved("bundle", runtime, files, {CERTIFICATE: self.folder / CERTIFICATE})
        if keep_own(request.out, whole):
            reporter.line(f"note: {request.out} keeps its own decision.")
        replace_folder(whole.path, request.out)
        failed.unlink(missing_ok=True)  # of an earlier attempt
        reporter.line(f"certificate: {certificate.summary}")
        for note in self.notes:
            reporter.line(f"note: {note}")
        for warning in certificate.warnings:
            reporter.line(f"warning: {warning}")
        return request.out

    # What is exported

    @cached_property
    def method(self) -> Method:
        return method_of(self.request.bundle)[0]

    @cached_property
    def exporting(self) -> ExportsGraphs:
        if not isinstance(self.method, ExportsGraphs):
            raise BlemishError(
                f"{self.request.bundle.path}: method {self.method.name} cannot be exported. Use torch."
            )
        return self.method

    @cached_property
    def manifest(self) -> Manifest:
        """Manifest of the bundle, with the requested tile."""
        return fixed_to(self.request.bundle.manifest, self.method, self.request.tile)

    @cached_property
    def plans(self) -> dict[str, GraphPlan]:
        """Graph plans by name.

        Raises BlemishError for a method without graphs, or without one of the tile's size.
        """
        plans = self.exporting.graphs(loaded_modules(self.request.bundle, self.method), self.manifest)
        side = self.request.tile
        inputs = [each for plan in plans.values() for each in stored_inputs(plan)]
        if side is not None and not any(each.shape[-2:] == (side, side) for each in inputs):
            raise BlemishError(
                f"--tile {side}: method {self.method.name} has no graph of a fixed size. Leave --tile out."
            )
        return plans

    # Graphs

    def graph_files(self, plans: Mapping[str, GraphPlan]) -> GraphFiles:
        """Files of each graph, for the requested runtime and precision."""
        kind, precision = self.request.kind, self.request.precision
        halved = (kind, precision) == ("onnx", "fp16")
        plain = {
            name: self.write_onnx(onnx_model(plan), name, "fp16" if halved else "fp32")
            for name, plan in plans.items()
        }
        if kind == "onnx" and precision != "int8":
            return plain
        inputs = self.calibration(plain) if precision == "int8" else {}
        return {name: self.converted(name, files[0], inputs.get(name, [])) for name, files in plain.items()}

    def converted(self, name: str, file: Path, inputs: Sequence[Path]) -> tuple[Path, ...]:
        """Convert a graph's ONNX file to its final files.

        inputs: files that int8's ranges are taken from, if any
        """
        if self.request.kind == "onnx":
            model = read_onnx(file)
            return self.write_onnx(quantised(model, inputs) if inputs else model, name, "int8")
        model = as_openvino(file)
        model = quantised(model, inputs) if inputs else model
        folder, source = self.place("openvino"), self.request.bundle.id
        return write_openvino(model, folder, name, source=source, precision=self.request.precision)

    def write_onnx(self, model: Any, name: str, precision: str) -> tuple[Path, ...]:
        folder, source = self.place(precision), self.request.bundle.id
        return write_onnx(model, folder, name, source=source, precision=precision)

    def calibration(self, plain: GraphFiles) -> dict[str, list[Path]]:
        """Files of the inputs that training images give each graph, recorded on the fp32 graphs."""
        request = self.request
        assert request.dataset is not None
        bundle = self.saved("plain", self.runtime("onnx", "fp32", plain), plain)
        files = recorded(
            bundle,
            request.dataset,
            self.place("calibration"),
            self.reporter,
            max_inputs=request.calibration,
            seed=request.seed,
        )
        counted = ", ".join(f"{len(own)} for '{name}'" for name, own in files.items())
        self.notes.append(f"int8 was calibrated on inputs from training images: {counted}.")
        unused = (name for name, own in files.items() if not own)
        self.notes += [f"Graph '{name}' stays fp32: no training image used it." for name in unused]
        return files

    # Bundles

    def runtime(self, kind: RuntimeKind, precision: Precision, files: GraphFiles) -> StoredRuntime:
        """Description of the graphs for the manifest."""
        graphs = {
            name: StoredGraph(
                files=tuple(file.name for file in files[name]),
                inputs=stored_inputs(plan),
                outputs=plan.outputs,
            )
            for name, plan in self.plans.items()
        }
        source = self.request.bundle.id
        return StoredRuntime(kind=kind, precision=precision, opset=OPSET, source=source, graphs=graphs)

    def saved(
        self, name: str, runtime: StoredRuntime, files: GraphFiles, more: Mapping[str, Path] | None = None
    ) -> Bundle:
        """Save a bundle of these graphs in the folder for drafts, with the decision of its source."""
        source = self.request.bundle
        tensors = {name: source.networks[name] for name in self.exporting.kept_tensors(self.manifest)}
        others = {file.name: file for own in files.values() for file in own} | dict(more or {})
        manifest = self.manifest.model_copy(update={"runtime": runtime})
        bundle = save_bundle(self.folder / name, manifest, tensors, other_files=others)
        decision = stored_decision(source.path, bundle=source.id)
        if decision is not None:
            own_decision = decision.model_copy(update={"bundle": bundle.id})
            write_atomically(bundle.path / DECISION, decision_text(own_decision))
        return bundle

    def place(self, name: str) -> Path:
        """A subfolder of the folder for drafts."""
        folder = self.folder / f"of-{name}"
        folder.mkdir(exist_ok=True)
        return folder

    # Certificate

    def certificate(self, draft: Bundle) -> Certificate:
        """Compare the draft as it lies on disk with the bundle, on `comparison_images`."""
        request, tolerances = self.request, TOLERANCES[self.request.precision]
        torch, exported = (  # every finding is compared, whatever the image's score
            replace(inspector_of(bundle, device="cpu", mm_per_px=request.scale), limited=False)
            for bundle in (request.bundle, load_bundle(draft.path))
        )
        chosen = comparison_images(
            self.place("images"),
            request.dataset,
            tile=tile_of(torch, self.manifest),
            fixed=request.tile is not None,
            seed=request.seed,
        )
        rows = certificate_rows(self.reporter.track(chosen, "comparing"), torch, exported, tolerances)
        metric = self.metric(torch, exported) if request.precision == "int8" else None
        runtime = draft.manifest.runtime
        assert runtime is not None
        return Certificate(self.method.name, runtime, rows, tolerances, metric, tuple(self.notes))

    def metric(self, torch: BundleInspector, exported: BundleInspector) -> MetricDrop:
        """Drop of the main metric by int8, on validation images."""
        request = self.request
        assert request.dataset is not None
        validation = validation_of(request.dataset, torch, request.bundle)
        return measure_drop(torch, exported, validation, self.reporter, max_drop=request.max_drop)


def fixed_to(manifest: Manifest, method: Method, side: int | None) -> Manifest:
    """The manifest with tiles of that side, for graphs of this size only; unchanged where it is None.

    Raises BlemishError for a method without tiles, and a side that does not fit its other settings.
    """
    if side is None:
        return manifest
    known = method.settings_type.model_fields
    if "tile" not in known:
        raise BlemishError(f"--tile {side}: method {method.name} uses no tiles. Leave --tile out.")
    settings = {**manifest.settings, "tile": side}
    try:
        method.settings_type.model_validate(settings)
    except ValidationError as error:
        raise BlemishError(f"--tile {side}: {first_fault(error, known)}") from error
    except BlemishError as error:
        raise BlemishError(f"--tile {side}: {error}") from error
    tiling = {**manifest.tiling, FIXED_SIDE: side}
    return manifest.model_copy(
        update={"settings": settings, "tiling": tiling | ({"tile": side} if "tile" in tiling else {})}
    )


def tile_of(inspector: BundleInspector, manifest: Manifest) -> int | None:
    """Side of a tile, from which on images are cut; None for a method that does not cut them."""
    tiling: Tiling | None = getattr(inspector.inference, "tiling", None)
    named = (
        manifest.tiling.get(FIXED_SIDE),
        manifest.tiling.get("tile"),
        tiling.tile if tiling else None,
    )
    return next((side for side in named if side is not None), None)


def keep_own(out: Path, bundle: Bundle) -> bool:
    """Carry over the usage count and the decisions of the same bundle at `out`.

    Its decision gives way to the one in `bundle` only where that has a higher revision, and then stays beside
    it. returns: True where its decision stays in place of another or of none
    """
    copied = stored_decision(bundle.path, bundle=bundle.id)
    for name, data in changeable_of(out, bundle.id).items():
        write_atomically(bundle.path / name, data)
    own = stored_decision(bundle.path, bundle=bundle.id)
    if copied is not None and own is not None and copied.revision > own.revision:
        write_decision(bundle.path / DECISION, copied)
        return False
    return own != copied
