"""Look-up of a dataset's images by the names in a file of predictions."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from blemish.dataset.layouts.common import grouped, is_image, stem
from blemish.dataset.layouts.identity import composed
from blemish.dataset.samples import Dataset, Sample
from blemish.errors import BlemishError, nearest_name


class ImageNames:
    """Index of a dataset's samples by the names of their images, however their letters are composed."""

    def __init__(self, dataset: Dataset) -> None:
        self.root = dataset.root
        self.by_id = {sample.id: sample for sample in dataset}
        self.by_stem = grouped(self.by_id, lambda known: composed(stem(known)))
        self.asked: dict[str, str] = {}

    def find(self, name: str) -> Sample | None:
        """Sample whose path, with or without suffix, ends in the name, or the name in it; None without any.

        Raises BlemishError where several fit equally well, and where another name meant the same image: in
        two folders there may be two images of a name.
        """
        name = name.replace("\\", "/").removeprefix("./")
        name = name[: -len(".npy")] if name.lower().endswith(".npy") else name
        sample = self.fitting(name)
        if sample is None:
            return None
        earlier = self.asked.setdefault(sample.id, name)
        if composed(without_suffix(earlier)) != composed(without_suffix(name)):
            raise BlemishError(
                f"Names of one image must be alike. Received: '{earlier}' and '{name}', which both fit "
                f"{sample.id} of {self.root}. Write the path below that folder, or remove what is not there."
            )
        return sample

    def fitting(self, name: str) -> Sample | None:
        bare = without_suffix(name)
        for known in (name, bare):
            if known in self.by_id:
                return self.by_id[known]
        fitting = []
        for known in self.by_stem.get(composed(stem(bare)), ()):  # one path ends in the other, by folders
            path, wanted = f"/{composed(without_suffix(known))}", f"/{composed(bare)}"
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
                f"'{strangers[0]}'.{nearest_name(strangers[0], self.by_id)} Give the dataset that was "
                "predicted on, or remove these entries."
            )


def without_suffix(name: str) -> str:
    """Path without the suffix of an image; other dots are part of the name."""
    return name.rpartition(".")[0] if is_image(name) else name


def longest(names: list[str]) -> list[str]:
    """Names in the deepest folders: of a/x and b/a/x, which are both the end of c/b/a/x, the latter."""
    deepest = max((name.count("/") for name in names), default=0)
    return [name for name in names if name.count("/") == deepest]
