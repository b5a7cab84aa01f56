"""The user's `classes:` of dataset.yaml on what a reader found: new names for old, or the order of all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from blemish.dataset.class_names import class_keys
from blemish.dataset.layouts.common import Contents, Source
from blemish.dataset.mask_sets.numbers import BACKGROUND_NAMES, VOID_NAMES
from blemish.dataset.samples import Sample
from blemish.dataset.settings import SETTINGS_NAME
from blemish.errors import BlemishError, nearest_name

OF_VALUES = frozenset({"pairs", "lots", "products"})  # layouts whose masks may tell classes by their values


def with_classes(
    contents: Contents, source: Source, layout: str, *, inherited: bool
) -> tuple[tuple[Sample, ...], tuple[str, ...], dict[str, str]]:
    """Samples and class names under the user's `classes:`; third, samples left out for another class.

    inherited: the settings are those of the folder around, whose other folders may have what is lacking here
    Raises BlemishError for a class that is not known.
    """
    new_names = source.settings.classes if isinstance(source.settings.classes, dict) else {}
    if layout in OF_VALUES or inherited:
        new_names = {
            key: name for key, name in new_names.items() if not of_mask(key, name, contents, inherited)
        }
    refuse_unknown_old_names(new_names, contents.class_names, source)
    samples = [renamed(sample, new_names) for sample in contents.samples] if new_names else contents.samples
    found = tuple(dict.fromkeys(new_names.get(name, name) for name in contents.class_names))
    if not isinstance(source.settings.classes, tuple):
        return tuple(samples), found, {}
    order = source.settings.classes
    strange = {
        s.id: unknown_class(s, order) for s in samples if any(a.label not in order for a in s.annotations)
    }
    if strange and not source.skip_broken:
        raise BlemishError(next(iter(strange.values())))
    return tuple(sample for sample in samples if sample.id not in strange), order, strange


def of_mask(key: str, name: str, contents: Contents, inherited: bool) -> bool:
    """True where a key is a value or colour of masks that have been read by it, and not an old name."""
    if class_keys({key: name}).renamed or key in contents.class_names:
        return False
    return inherited or name in contents.class_names or name.lower() in BACKGROUND_NAMES | VOID_NAMES


def refuse_unknown_old_names(new_names: dict[str, str], known: Sequence[str], source: Source) -> None:
    for name, new in new_names.items():
        if name not in known:
            hint = nearest_name(name, known) or (
                f" Use one of {', '.join(known)}." if known else " There are none."
            )
            if not class_keys({name: ""}).renamed:
                hint += " Values and colours of masks are named in the layout 'pairs' alone."
            if not class_keys({new: ""}).renamed:
                hint = f" Write the value or colour first: '{new}: {name}'."
            raise BlemishError(
                f"{source.home / SETTINGS_NAME}: 'classes' must rename known ones. Received: '{name}'.{hint}"
            )


def renamed(sample: Sample, new_names: dict[str, str]) -> Sample:
    marks = tuple(replace(a, label=new_names.get(a.label, a.label)) for a in sample.annotations)
    return replace(sample, annotations=marks)


def unknown_class(sample: Sample, order: Sequence[str]) -> str:
    label = next(a.label for a in sample.annotations if a.label not in order)
    return (
        f"{sample.image} must be marked with a class of {SETTINGS_NAME} ({', '.join(order)}). "
        f"Received: '{label}'.{nearest_name(label, order)} Correct the annotation or add the class."
    )
