"""Certificate of an exported bundle on this machine: whether it passed, and whether here or elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from blemish.bundle.store import CERTIFICATE, Bundle
from blemish.provenance import package_version, processor
from blemish.untrusted import read_json

PACKAGES = {"onnx": "onnxruntime", "openvino": "openvino"}


def certificate_warnings(bundle: Bundle) -> tuple[str, ...]:
    """Sentences on a certificate that failed, is missing, or is of other hardware or another runtime.

    Empty for a bundle that was not exported. Raises BlemishError for a certificate that is no JSON.
    """
    runtime = bundle.manifest.runtime
    if runtime is None:
        return ()
    file = bundle.other_files.get(CERTIFICATE)
    if file is None:
        return (
            f"{bundle.path} has no certificate, as after add-class: its answers were not compared with those "
            "of the bundle that it was exported from.",
        )
    found = read_json(file)
    fields: Mapping[str, Any] = found if isinstance(found, dict) else {}
    if fields.get("passed") is not True:
        failures = fields.get("failures")
        first = f": {failures[0]}" if isinstance(failures, list) and failures else ""
        return (f"The certificate of {bundle.path} did not pass{first}. Export the bundle again.",)
    then, now = machine_of(fields, PACKAGES[runtime.kind]), this_machine(PACKAGES[runtime.kind])
    if then == now:
        return ()
    return (
        f"{bundle.path} was compared with its original on {', '.join(then)}; here are {', '.join(now)}. "
        "Scores may differ in their last digits: replay an inspection of that machine here to see.",
    )


def machine_of(certificate: Mapping[str, Any], package: str) -> tuple[str, str]:
    """Processor and runtime of a certificate."""
    versions = certificate.get("versions")
    version = versions.get(package) if isinstance(versions, dict) else None
    hardware = str(certificate.get("hardware") or "an unknown processor")
    return hardware.split(", ", maxsplit=1)[0], f"{package} {version or 'of an unknown version'}"


def this_machine(package: str) -> tuple[str, str]:
    return processor().split(", ", maxsplit=1)[0], f"{package} {package_version(package)}"
