"""Import torchvision without torch's compiler, whose import takes longer than all the rest of torch.

torchvision's RoIAlign imports one function of the compiler and calls it only where a GPU has to be
deterministic. The compiler is imported when that function is called.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

COMPILER = "torch._dynamo.utils"


@contextmanager
def defer_torch_dynamo() -> Iterator[None]:
    """Give modules imported inside a stand-in for torch's compiler, which it imports on the first call."""
    if COMPILER in sys.modules:
        yield
        return
    sys.modules[COMPILER] = DeferredModule(COMPILER)
    try:
        yield
    finally:
        del sys.modules[COMPILER]


class DeferredModule(ModuleType):
    """Stand-in for a module of functions that is imported when one of them is called."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*arguments: Any, **named: Any) -> Any:
            return getattr(import_module(self.__name__), name)(*arguments, **named)

        return call
