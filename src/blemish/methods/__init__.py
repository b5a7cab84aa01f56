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
    return tuple(sorted(one.name for one in pkgutil.iter_modules(__path__) if one.ispkg and is_method(one)))


def is_method(package: pkgutil.ModuleInfo) -> bool:
    folder = Path(cast(FileFinder, package.module_finder).path)
    text = (folder / package.name / "__init__.py").read_text(encoding="utf-8")
    return re.search(r"^METHOD\b.*=", text, re.MULTILINE) is not None


def find_method(name: str) -> Method:
    """The method of that name. Raises BlemishError that names the nearest for an unknown one."""
    names = method_names()
    if name not in names:
        raise BlemishError(
            f"METHOD must be one of {', '.join(names)}. Received: '{name}'.{nearest_name(name, names)}"
        )
    return cast(Method, importlib.import_module(f"blemish.methods.{name}").METHOD)
