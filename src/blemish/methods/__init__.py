"""The methods, found by looking: each sub-package whose `__init__.py` assigns an object METHOD."""

from __future__ import annotations

import importlib
import pkgutil
import re
from importlib.machinery import FileFinder
from pathlib import Path
from typing import cast

from blemish.errors import BlemishError, nearest_name
from blemish.methods.contract import Method


def method_names() -> tuple[str, ...]:
    """Names of the methods there are, in alphabetical order; none of them is imported."""
    names = []
    for package in (module for module in pkgutil.iter_modules(__path__) if module.ispkg):
        folder = Path(cast(FileFinder, package.module_finder).path, package.name)
        if re.search(r"^METHOD\b.*=", (folder / "__init__.py").read_text(encoding="utf-8"), re.MULTILINE):
            names.append(package.name)
    return tuple(sorted(names))


def learning_from_good_images() -> tuple[str, ...]:
    """Names of the methods that need no defective image to learn from."""
    return tuple(name for name in method_names() if not find_method(name).needs_defects_in)


def find_method(name: str) -> Method:
    """Find a method by its name. Raises BlemishError for an unknown name, with the nearest."""
    names = method_names()
    if name not in names:
        raise BlemishError(
            f"METHOD must be one of {', '.join(names)}. Received: '{name}'.{nearest_name(name, names)}"
        )
    return cast(Method, importlib.import_module(f"blemish.methods.{name}").METHOD)
