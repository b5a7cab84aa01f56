"""Imports that hold for every module: what runs on a line PC loads no torch, and methods stay apart.

The name says which module may load torch, torchvision or SciPy: in a method's folder `network`, `training`
and `export`, modules or packages; outside methods those of `TRAINING`, and files named `torch_*` or
`*_torch`. Everything else must be importable without them.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import blemish
from blemish.methods import method_names

SOURCE = Path(blemish.__file__).parent
HEAVY = ("torch", "torchvision", "accelerate", "tensorboard", "scipy", "skimage", "sklearn")
TRAINING = ("blemish.nn", "blemish.training", "blemish.exporting", "blemish.inspector.torch_backend")
OF_A_METHOD = ("network", "training", "export")


def module_name(file: Path) -> str:
    parts = file.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(file): file for file in sorted(SOURCE.rglob("*.py"))}


def may_load_torch(module: str) -> bool:
    parts = module.split(".")
    if any(module == one or module.startswith(f"{one}.") for one in TRAINING):
        return True
    if parts[:2] == ["blemish", "methods"] and len(parts) > 3 and parts[3] in OF_A_METHOD:
        return True
    return parts[-1].startswith("torch_") or parts[-1].endswith("_torch")


def imports_of(tree: ast.AST, *, on_loading: bool) -> Iterator[tuple[str, ...]]:
    """Names that a module imports, each once as a module and once as a name in one.

    on_loading: leave out what is imported inside functions or for type checking alone
    """
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield tuple(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            module = node.module or ""
            yield (module, *(f"{module}.{alias.name}" for alias in node.names))
        elif on_loading and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        elif on_loading and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from imports_of(ast.Module(node.orelse, []), on_loading=True)
        else:
            yield from imports_of(node, on_loading=on_loading)


def test_the_rule_is_told_by_names() -> None:
    for module in (
        "methods.a.network",
        "methods.a.training.fit",
        "methods.a.export",
        "nn.norms",
        "dataset.torch_x",
    ):
        assert may_load_torch(f"blemish.{module}"), module
    for module in (
        "methods.network",
        "methods.a.inference",
        "methods.a.data.network",
        "nnx",
        "inspector.chain",
    ):
        assert not may_load_torch(f"blemish.{module}"), module


def test_imports_inside_functions_and_for_types_are_told_apart() -> None:
    tree = ast.parse(
        "import a\nif TYPE_CHECKING:\n    import b\nelse:\n    import c\n"
        "def f():\n    from d import e\nclass C:\n    import g\n"
    )
    assert [*imports_of(tree, on_loading=True)] == [("a",), ("c",), ("g",)]
    assert [*imports_of(tree, on_loading=False)] == [("a",), ("b",), ("c",), ("d", "d.e"), ("g",)]


@pytest.mark.parametrize("module", [one for one in MODULES if not may_load_torch(one)])
def test_what_a_line_pc_runs_imports_nothing_heavy(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    heavy = {name for names in imports_of(tree, on_loading=True) for name in names}
    assert not [name for name in heavy if name.split(".")[0] in HEAVY], (
        f"{module} is imported on the line PC. Import it inside the function that needs it, or move it to a "
        f"module whose name says that it trains: {', '.join(OF_A_METHOD)}, torch_*."
    )


def test_what_a_line_pc_runs_can_be_imported_where_nothing_heavy_is_installed() -> None:
    programs = ("__main__", "migrations.env")  # the second is run by Alembic
    modules = [one for one in MODULES if not may_load_torch(one) and not one.endswith(programs)]
    program = (
        "import importlib, sys\n"
        f"sys.modules.update(dict.fromkeys({HEAVY!r}))\n"
        f"for name in {modules!r}:\n"
        "    try:\n        importlib.import_module(name)\n"
        "    except ImportError as error:\n        print(name, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("method", method_names())
def test_a_method_imports_no_other(method: str) -> None:
    others = [f"blemish.methods.{name}" for name in method_names() if name != method]
    own = [one for one in MODULES if f"{one}.".startswith(f"blemish.methods.{method}.")]
    assert own
    for module in own:
        for names in imports_of(ast.parse(MODULES[module].read_text(encoding="utf-8")), on_loading=False):
            for name in names:
                assert not any(f"{name}.".startswith(f"{other}.") for other in others), (module, name)


@pytest.mark.parametrize("shared", ["base", "capabilities", "common", "contract", "quick"])
def test_what_methods_share_imports_no_method(shared: str) -> None:
    found = [one for one in MODULES if f"{one}.".startswith(f"blemish.methods.{shared}.")]
    assert found
    for module in found:
        for names in imports_of(ast.parse(MODULES[module].read_text(encoding="utf-8")), on_loading=False):
            assert not {name.split(".")[2] for name in names if name.startswith("blemish.methods.")} & {
                *method_names()
            }, module
