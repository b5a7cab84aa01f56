"""Importing torchvision without the compiler of torch, which takes longer than all the rest of torch.

torchvision's RoIAlign asks for one function of the compiler as it is imported, and calls it only where a GPU
has to be deterministic. The function is fetched when it is called.
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
def compiler_deferred() -> Iterator[None]:
    """Inside, what is imported gets functions of the compiler that import it when they are called."""
    if COMPILER in sys.modules:
        yield
        return
    sys.modules[COMPILER] = Deferred(COMPILER)
    try:
        yield
    finally:
        del sys.modules[COMPILER]


class Deferred(ModuleType):
    """Stands for a module of functions until one of them is called."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*arguments: Any, **named: Any) -> Any:
            return getattr(import_module(self.__name__), name)(*arguments, **named)

        return call
