"""Images that are nearly the same: stored again by JPEG, shifted by a little, brighter or darker.

Of every image a small gray one is kept. Those whose waves are alike in strength are candidates; they are near
duplicates when their phases agree at one short shift. Phases tell a copy of a texture from another piece of
it, which has the same waves in other places; of a regular pattern, all pieces share but a few waves.
Measured on drawn surfaces, NEU-DET, BC defects, magnetic tiles and DeepPCB: of planted copies (JPEG from 60,
shifts up to 4 %, darker by 40 %) 98 % or more are found, brighter and clipped ones in 96 %; of 240 drawn
surfaces no pair, and those found in the public sets that were checked show one place twice.
Letters: n images, P pairs, S side of a small image, W highest wave, L shifts.
Source: phase correlation, Kuglin & Hines 1975.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Pixels
from blemish.dataset.hashing import in_threads
from blemish.dataset.samples import Sample
from blemish.images.decode import luminance, read_image
from blemish.images.resize import resized_map
from blemish.regions.components import roots

SIDE = 96  # of a small image
LOWEST, HIGHEST = 3, 30  # waves a side whose phases count: fewer are lighting, more is noise and JPEG's loss
FINGERPRINT = 16  # highest wave of those that candidates are found by
FAINT = 0.1  # strength of a wave of which a phase means nothing
LEVEL = 1.0  # strength from which fingerprints compare waves
CANDIDATES = 4  # most similar images that each image is compared with
MAX_SHIFT = 10  # pixels of a small image
PEAK = 0.5  # agreement of phases from which images are near duplicates; chance gives 0.1
SURE_PEAK = 0.75  # likewise where all images agree, as those of one part in one place do
TIMES_USUAL = 4  # how far it must lie above what any two images have
USUAL_PAIRS = 200  # pairs that show it
AT_ONCE = 256  # images or pairs worked on together

SmallImage = NDArray[np.float16]  # [S, S], mean 0, deviation 1
IndexPairs = NDArray[np.intp]  # [P, 2]


@dataclass(frozen=True)
class NearDuplicate:
    """Two images by their index, first < second. peak: agreement of their phases, in [0, 1]"""

    first: int
    second: int
    peak: float


def small_image(pixels: Pixels) -> SmallImage:
    """[S, S] of an image of any size, gray, mean 0 and deviation 1; zeros where it is flat."""
    gray = resized_map(luminance(pixels).astype(np.float32), (SIDE, SIDE))
    gray -= gray.mean()
    return (gray / max(float(gray.std()), 1e-3)).astype(np.float16)


def near_duplicates(
    images: Sequence[SmallImage], *, groups: Sequence[int] | None = None
) -> list[NearDuplicate]:
    """All pairs of near duplicates, the most confident first; in seconds for thousands of images.

    groups: a number for each image; only images of different groups are compared. None: all are
    """
    own = np.arange(len(images)) if groups is None else np.asarray(groups, np.intp)
    if len(np.unique(own)) < 2:
        return []
    spectra = waves_of(images)
    pairs = candidate_pairs(fingerprints(spectra), own)
    phases = unit(spectra)
    agreement = peaks(phases, pairs)
    limit = limit_of(phases)
    found = [
        NearDuplicate(first, second, peak)
        for (first, second), peak in zip(pairs.tolist(), agreement.tolist(), strict=True)
        if peak >= limit
    ]
    return sorted(found, key=lambda pair: -pair.peak)


def similarity_groups(images: Sequence[SmallImage]) -> list[int]:
    """Number of the group of each image, [n]; near duplicates, also of near duplicates, share one."""
    pairs = np.array([(pair.first, pair.second) for pair in near_duplicates(images)], np.intp)
    numbers: list[int] = roots(len(images), *pairs.reshape(-1, 2).T).tolist()
    return numbers


def near_duplicates_among(samples: Sequence[Sample]) -> list[tuple[str, str]]:
    """Pairs of ids of near duplicates. Raises BlemishError for an image that cannot be read."""
    pairs = near_duplicates(small_images(samples))
    return [(samples[pair.first].id, samples[pair.second].id) for pair in pairs]


def near_duplicates_between(
    samples: Sequence[Sample], others: Sequence[Sample]
) -> list[tuple[Sample, Sample]]:
    """Pairs of one of `samples` and one of `others`, without pairs within either; the most confident first.

    Raises BlemishError for an image that cannot be read.
    """
    both = [*samples, *others]
    groups = [0] * len(samples) + [1] * len(others)
    pairs = near_duplicates(small_images(both), groups=groups)
    return [(both[pair.first], both[pair.second]) for pair in pairs]


def nearly_same(pairs: Sequence[tuple[Sample, Sample]]) -> list[bool]:
    """Tell of each pair whether both show nearly the same. Raises BlemishError for an unreadable image."""
    if not pairs:
        return []
    phases = unit(waves_of(small_images([sample for pair in pairs for sample in pair])))
    numbers = np.arange(2 * len(pairs), dtype=np.intp).reshape(-1, 2)
    return [bool(peak >= PEAK) for peak in peaks(phases, numbers)]


def small_images(samples: Sequence[Sample]) -> list[SmallImage]:
    return list(in_threads(lambda sample: small_image(read_image(sample.image)), samples))


def limit_of(phases: NDArray[np.complex64]) -> float:
    """The agreement that makes a near duplicate, higher where images drawn at random agree, too."""
    order = np.random.default_rng(0).permutation(len(phases))
    random_pairs = np.stack([order, np.roll(order, 1)], axis=1)[:USUAL_PAIRS]
    usual = float(np.median(peaks(phases, random_pairs)))
    return min(SURE_PEAK, max(PEAK, TIMES_USUAL * usual))


def waves_of(images: Sequence[SmallImage]) -> NDArray[np.complex64]:
    """[n, 2 W + 1, W + 1]: waves −W … W down and 0 … W across, of images that fade out at their borders."""
    fade = np.hanning(SIDE + 2)[1:-1].astype(np.float32)
    down = np.r_[-HIGHEST : HIGHEST + 1]
    parts = [
        np.fft.rfft2(np.stack(images[start : start + AT_ONCE]) * (fade * fade[:, None]))
        for start in range(0, len(images), AT_ONCE)
    ]
    return np.concatenate([part[:, down, : HIGHEST + 1].astype(np.complex64) for part in parts])


def fingerprints(spectra: NDArray[np.complex64]) -> NDArray[np.float32]:
    """[n, D] of unit length: how strong each wave is, beyond what it is in all images.

    A shift or another brightness changes phases and the whole, not this.
    """
    strength = np.log(np.abs(spectra[:, radii() <= FINGERPRINT]) + LEVEL)
    strength -= strength.mean(axis=1, keepdims=True)
    strength -= strength.mean(axis=0)
    return strength / np.maximum(np.linalg.norm(strength, axis=1, keepdims=True), 1e-6)


def candidate_pairs(prints: NDArray[np.float32], groups: NDArray[np.intp]) -> IndexPairs:
    """Each image with its `CANDIDATES` most alike of other groups, every pair once.

    prints: [n, D]; groups: [n], at least two different ones
    """
    count = min(CANDIDATES, len(prints) - int(np.bincount(groups).max()))
    pairs = set()
    for start in range(0, len(prints), AT_ONCE):
        likeness = prints[start : start + AT_ONCE] @ prints.T
        likeness[groups[start : start + AT_ONCE, None] == groups] = -np.inf
        nearest = np.argpartition(-likeness, count - 1, axis=1)[:, :count]
        pairs |= {
            (min(start + i, j), max(start + i, j)) for i, row in enumerate(nearest.tolist()) for j in row
        }
    return np.array(sorted(pairs), np.intp)


def unit(spectra: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Waves brought to strength 1; 0 outside the band that counts and where there is next to none."""
    strength = np.abs(spectra)
    counted = (strength > FAINT) & (radii() >= LOWEST) & (radii() <= HIGHEST)
    return np.where(counted, spectra / np.maximum(strength, FAINT), 0)


def peaks(phases: NDArray[np.complex64], pairs: IndexPairs) -> NDArray[np.float32]:
    """[P]: the highest agreement of each pair's phases at a short shift, 1 for equal images."""
    shifts = np.arange(-MAX_SHIFT, MAX_SHIFT + 1)
    down = np.exp(2j * np.pi / SIDE * np.outer(shifts, np.r_[-HIGHEST : HIGHEST + 1])).astype(np.complex64)
    across = np.exp(2j * np.pi / SIDE * np.outer(np.arange(HIGHEST + 1), shifts)).astype(np.complex64)
    twice = np.where(np.arange(HIGHEST + 1) > 0, 2, 1)  # a wave and its mirror image, which is not kept
    across = (across * twice[:, None]).astype(np.complex64)
    highest = float((((radii() >= LOWEST) & (radii() <= HIGHEST)) * twice).sum())
    found = [np.zeros(0, np.float32)]
    for start in range(0, len(pairs), AT_ONCE):
        first, second = (phases[pairs[start : start + AT_ONCE, side]] for side in (0, 1))
        agreement = (down @ (first * second.conj()) @ across).real  # [P, L, L]
        found.append(agreement.max(axis=(1, 2)) / np.float32(highest))
    return np.concatenate(found)


@lru_cache
def radii() -> NDArray[np.float64]:
    """[2 W + 1, W + 1]: waves a side, in whatever direction."""
    return np.hypot(np.r_[-HIGHEST : HIGHEST + 1][:, None], np.arange(HIGHEST + 1))
