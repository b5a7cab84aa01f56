"""blemish finds, outlines, grades and names surface defects from few examples.

>>> import blemish
>>> inspector = blemish.load(bundle)  # the folder that `blemish.train` wrote
>>> inspection = inspector.inspect(image)  # a path, an array, a PIL image, or bytes
>>> str(inspection.verdict) in ("OK", "REVIEW", "NG")
True

The names in `__all__` are the public interface; everything else may change in a minor release. Names are
imported when they are first used, so that `import blemish` brings neither torch nor numpy.
"""

from importlib import import_module

TYPE_CHECKING = False  # as typing.TYPE_CHECKING, whose import would cost more than all else here
if TYPE_CHECKING:
    from blemish.api import (
        accept,
        add_class,
        decide,
        evaluate,
        export,
        inspect,
        load,
        open_dataset,
        recommend,
        reject,
        remove_class,
        rename_class,
        train,
    )
    from blemish.dataset.samples import Dataset
    from blemish.defect import Defect
    from blemish.errors import BlemishError
    from blemish.image_inspector import Inspector
    from blemish.inspection import Inspection, Verdict

    __version__: str

__all__ = [
    "BlemishError",
    "Dataset",
    "Defect",
    "Inspection",
    "Inspector",
    "Verdict",
    "__version__",
    "accept",
    "add_class",
    "decide",
    "evaluate",
    "export",
    "inspect",
    "load",
    "open_dataset",
    "recommend",
    "reject",
    "remove_class",
    "rename_class",
    "train",
]

_MODULES = {
    "BlemishError": "blemish.errors",
    "Dataset": "blemish.dataset.samples",
    "Defect": "blemish.defect",
    "Inspection": "blemish.inspection",
    "Inspector": "blemish.image_inspector",
    "Verdict": "blemish.inspection",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'blemish' has no attribute {name!r}")
    value: object
    if name == "__version__":
        from importlib.metadata import version

        value = version("blemish")
    else:
        value = getattr(import_module(_MODULES.get(name, "blemish.api")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
