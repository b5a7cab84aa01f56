"""Which image of a dataset a name in a file of predictions means."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from blemish.dataset.layouts.common import grouped, is_image, stem
from blemish.dataset.samples import Dataset, Sample
from blemish.errors import BlemishError


class ImageNames:
    """The names of a dataset's images, to look samples up by."""

    def __init__(self, dataset: Dataset) -> None:
        self.root = dataset.root
        self.by_id = {sample.id: sample for sample in dataset}
        self.by_stem = grouped(self.by_id, stem)

    def find(self, name: str) -> Sample | None:
        """The sample whose path, with or without suffix, ends like the name or the name like it; None where
        there is none. Raises BlemishError where several fit equally well.
        """
        name = name.replace("\\", "/").removeprefix("./").removesuffix(".npy")
        bare = without_suffix(name)
        for known in (name, bare):
            if known in self.by_id:
                return self.by_id[known]
        fitting = [one for one in self.by_stem.get(stem(bare), ()) if end_alike(bare, without_suffix(one))]
        same_file = [one for one in fitting if one.rpartition("/")[2] == name.rpartition("/")[2]]
        best = longest(same_file or fitting)
        if len(best) > 1:
            raise BlemishError(
                f"The name '{name}' must mean one image of {self.root}. Received: {best[0]} and {best[1]}. "
                "Write the path below that folder."
            )
        return self.by_id[best[0]] if best else None

    def refuse_strangers(self, names: Iterable[str], path: Path) -> None:
        """Raises BlemishError that counts names without an image and shows the first."""
        strangers = list(dict.fromkeys(names))
        if strangers:
            images = "an image that is" if len(strangers) == 1 else f"{len(strangers)} images that are"
            raise BlemishError(
                f"{path} must be about images of {self.root}. Received: {images} not there, first "
                f"'{strangers[0]}'. Name the dataset that was predicted on, or remove them."
            )


def without_suffix(name: str) -> str:
    """The path without an image's suffix; other points are part of the name."""
    return name.rpartition(".")[0] if is_image(name) else name


def end_alike(one: str, other: str) -> bool:
    """Whether one path is the end of the other, folder by folder."""
    return f"/{one}".endswith(f"/{other}") or f"/{other}".endswith(f"/{one}")


def longest(names: list[str]) -> list[str]:
    """Those of the deepest folders: of a/x and b/a/x, which both end 'c/b/a/x', the latter."""
    most = max((name.count("/") for name in names), default=0)
    return [name for name in names if name.count("/") == most]
