"""The methods, found by looking: each sub-package that offers an object METHOD."""

from __future__ import annotations

import importlib
import pkgutil
from typing import cast

from blemish.errors import BlemishError, nearest_name
from blemish.methods.contract import Method

SHARED = "common"  # the one sub-package that is no method


def method_names() -> tuple[str, ...]:
    """Names of the methods there are, in alphabetical order."""
    found = (module.name for module in pkgutil.iter_modules(__path__) if module.ispkg)
    return tuple(sorted(name for name in found if name != SHARED))


def find_method(name: str) -> Method:
    """The method of that name. Raises BlemishError that names the nearest for an unknown one."""
    names = method_names()
    if name not in names:
        raise BlemishError(
            f"METHOD must be one of {', '.join(names)}. Received: '{name}'.{nearest_name(name, names)}"
        )
    return cast(Method, importlib.import_module(f"blemish.methods.{name}").METHOD)
