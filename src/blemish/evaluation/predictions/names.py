"""Look-up of a dataset's images by the names in a file of predictions."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from blemish.dataset.layouts.common import grouped, is_image, stem
from blemish.dataset.samples import Dataset, Sample
from blemish.errors import BlemishError


class ImageNames:
    """Index of a dataset's samples by the names of their images."""

    def __init__(self, dataset: Dataset) -> None:
        self.root = dataset.root
        self.by_id = {sample.id: sample for sample in dataset}
        self.by_stem = grouped(self.by_id, stem)

    def find(self, name: str) -> Sample | None:
        """Sample whose path, with or without suffix, ends in the name, or the name in it; None without any.

        Raises BlemishError where several fit equally well.
        """
        name = name.replace("\\", "/").removeprefix("./").removesuffix(".npy")
        bare = without_suffix(name)
        for known in (name, bare):
            if known in self.by_id:
                return self.by_id[known]
        fitting = []
        for known in self.by_stem.get(stem(bare), ()):  # one path is the end of the other, folder by folder
            path, wanted = f"/{without_suffix(known)}", f"/{bare}"
            if path.endswith(wanted) or wanted.endswith(path):
                fitting.append(known)
        same_file = [known for known in fitting if known.rpartition("/")[2] == name.rpartition("/")[2]]
        best = longest(same_file or fitting)
        if len(best) > 1:
            raise BlemishError(
                f"The name '{name}' must mean one image of {self.root}. Received: {best[0]} and {best[1]}. "
                "Write the path below that folder."
            )
        return self.by_id[best[0]] if best else None

    def refuse_strangers(self, names: Iterable[str], path: Path) -> None:
        """Raises BlemishError that counts the names without an image and shows the first."""
        strangers = list(dict.fromkeys(names))
        if strangers:
            images = "a name that is" if len(strangers) == 1 else f"{len(strangers)} names that are"
            raise BlemishError(
                f"{path} must name images of {self.root}. Received: {images} not there, first "
                f"'{strangers[0]}'. Give the dataset that was predicted on, or remove these entries."
            )


def without_suffix(name: str) -> str:
    """Path without the suffix of an image; other dots are part of the name."""
    return name.rpartition(".")[0] if is_image(name) else name


def longest(names: list[str]) -> list[str]:
    """Names in the deepest folders: of a/x and b/a/x, which are both the end of c/b/a/x, the latter."""
    deepest = max((name.count("/") for name in names), default=0)
    return [name for name in names if name.count("/") == deepest]
