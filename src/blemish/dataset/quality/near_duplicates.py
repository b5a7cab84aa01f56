"""Pictures that are nearly the same: stored again by JPEG, shifted by a little, brighter or darker.

Of every picture a small gray one is kept. Those whose waves are alike in strength are candidates; they are
near duplicates when their phases agree at one short shift. Phases tell a copy of a texture from another piece of
it, which has the same waves in other places; of a regular pattern, all pieces share but a few waves.
Measured on drawn surfaces, NEU-DET, BC defects, magnetic tiles and DeepPCB: of planted copies (JPEG from 60,
shifts up to 4 %, darker by 40 %) 98 % or more are found, brighter and clipped ones in 96 %; of 240 drawn
surfaces no pair, and those found in the public sets that were looked at show one place twice.
Letters: n pictures, P pairs, S side of a small picture, W highest wave, L shifts.
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

SIDE = 96  # of a small picture
LOWEST, HIGHEST = 3, 30  # waves a side whose phases count: fewer are lighting, more is noise and JPEG's loss
FINGERPRINT = 16  # highest wave of those that candidates are found by
FAINT = 0.1  # strength of a wave of which a phase means nothing
LEVEL = 1.0  # strength from which fingerprints compare waves
CANDIDATES = 4  # most alike others looked at for each picture
SHIFT = 10  # longest, in pixels of a small picture
PEAK = 0.5  # agreement of phases from which pictures are near duplicates; chance gives 0.1
SURE_PEAK = 0.75  # the same where all pictures agree, as those of one part in one place do
TIMES_USUAL = 4  # how far it must lie above what any two pictures have
USUAL_PAIRS = 200  # pairs that show it
AT_ONCE = 256  # pictures or pairs worked on together

Small = NDArray[np.float16]  # [S, S], mean 0, deviation 1
Pairs = NDArray[np.intp]  # [P, 2]


@dataclass(frozen=True)
class NearDuplicate:
    """Two pictures by their index, first < second. peak: agreement of their phases, in [0, 1]"""

    first: int
    second: int
    peak: float


def small_picture(pixels: Pixels) -> Small:
    """[S, S] of a picture of any size, gray, mean 0 and deviation 1; zeros where it is flat."""
    gray = resized_map(luminance(pixels).astype(np.float32), (SIDE, SIDE))
    gray -= gray.mean()
    return (gray / max(float(gray.std()), 1e-3)).astype(np.float16)


def near_duplicates(pictures: Sequence[Small], *, groups: Sequence[int] | None = None) -> list[NearDuplicate]:
    """All pairs of near duplicates, the surest first; in seconds for thousands of pictures.

    groups: a number for each picture; only pictures of different groups are compared. None: all are
    """
    own = np.arange(len(pictures)) if groups is None else np.asarray(groups, np.intp)
    if len(np.unique(own)) < 2:
        return []
    spectra = waves_of(pictures)
    pairs = candidate_pairs(fingerprints(spectra), own)
    phases = unit(spectra)
    agreement = peaks(phases, pairs)
    limit = limit_of(phases)
    copies = [
        NearDuplicate(first, second, peak)
        for (first, second), peak in zip(pairs.tolist(), agreement.tolist(), strict=True)
        if peak >= limit
    ]
    return sorted(copies, key=lambda copy: -copy.peak)


def near_duplicates_among(samples: Sequence[Sample]) -> list[tuple[str, str]]:
    """The same of samples, as pairs of their ids. Raises BlemishError for an image that cannot be read."""
    pictures = small_pictures(samples)
    return [(samples[copy.first].id, samples[copy.second].id) for copy in near_duplicates(pictures)]


def near_duplicates_between(
    samples: Sequence[Sample], others: Sequence[Sample]
) -> list[tuple[Sample, Sample]]:
    """Pairs of one of `samples` and one of `others`, whatever either holds twice, the surest first.

    Raises BlemishError for an image that cannot be read.
    """
    both = [*samples, *others]
    groups = [0] * len(samples) + [1] * len(others)
    return [
        (both[copy.first], both[copy.second]) for copy in near_duplicates(small_pictures(both), groups=groups)
    ]


def nearly_same(pairs: Sequence[tuple[Sample, Sample]]) -> list[bool]:
    """Of each pair, whether both show nearly the same picture. Raises BlemishError as above."""
    if not pairs:
        return []
    phases = unit(waves_of(small_pictures([sample for pair in pairs for sample in pair])))
    numbers = np.arange(2 * len(pairs), dtype=np.intp).reshape(-1, 2)
    return [bool(peak >= PEAK) for peak in peaks(phases, numbers)]


def small_pictures(samples: Sequence[Sample]) -> list[Small]:
    return list(in_threads(lambda sample: small_picture(read_image(sample.image)), samples))


def limit_of(phases: NDArray[np.complex64]) -> float:
    """The agreement that makes a near duplicate, higher where pictures drawn at random agree, too."""
    order = np.random.default_rng(0).permutation(len(phases))
    random_pairs = np.stack([order, np.roll(order, 1)], axis=1)[:USUAL_PAIRS]
    usual = float(np.median(peaks(phases, random_pairs)))
    return min(SURE_PEAK, max(PEAK, TIMES_USUAL * usual))


def waves_of(pictures: Sequence[Small]) -> NDArray[np.complex64]:
    """[n, 2 W + 1, W + 1]: waves −W … W down and 0 … W across, of pictures that fade out at their borders."""
    fade = np.hanning(SIDE + 2)[1:-1].astype(np.float32)
    down = np.r_[-HIGHEST : HIGHEST + 1]
    parts = [
        np.fft.rfft2(np.stack(pictures[start : start + AT_ONCE]) * (fade * fade[:, None]))
        for start in range(0, len(pictures), AT_ONCE)
    ]
    return np.concatenate([part[:, down, : HIGHEST + 1].astype(np.complex64) for part in parts])


def fingerprints(spectra: NDArray[np.complex64]) -> NDArray[np.float32]:
    """[n, D] of unit length: how strong each wave is, beyond what it is in all pictures. A shift or another
    brightness changes phases and the whole, not this.
    """
    strength = np.log(np.abs(spectra[:, radii() <= FINGERPRINT]) + LEVEL)
    strength -= strength.mean(axis=1, keepdims=True)
    strength -= strength.mean(axis=0)
    return strength / np.maximum(np.linalg.norm(strength, axis=1, keepdims=True), 1e-6)


def candidate_pairs(prints: NDArray[np.float32], groups: NDArray[np.intp]) -> Pairs:
    """Each picture with its `CANDIDATES` most alike of other groups, every pair once.

    prints: [n, D]; groups: [n], at least two different ones
    """
    most = min(CANDIDATES, len(prints) - int(np.bincount(groups).max()))
    pairs = set()
    for start in range(0, len(prints), AT_ONCE):
        likeness = prints[start : start + AT_ONCE] @ prints.T
        likeness[groups[start : start + AT_ONCE, None] == groups] = -np.inf
        nearest = np.argpartition(-likeness, most - 1, axis=1)[:, :most]
        pairs |= {
            (min(start + i, j), max(start + i, j)) for i, row in enumerate(nearest.tolist()) for j in row
        }
    return np.array(sorted(pairs), np.intp)


def unit(spectra: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """The same waves with strength 1; 0 outside the band that counts and where there is next to none."""
    strength = np.abs(spectra)
    counted = (strength > FAINT) & (radii() >= LOWEST) & (radii() <= HIGHEST)
    return np.where(counted, spectra / np.maximum(strength, FAINT), 0)


def peaks(phases: NDArray[np.complex64], pairs: Pairs) -> NDArray[np.float32]:
    """[P]: the highest agreement of each pair's phases at a short shift, 1 for equal pictures."""
    shifts = np.arange(-SHIFT, SHIFT + 1)
    down = np.exp(2j * np.pi / SIDE * np.outer(shifts, np.r_[-HIGHEST : HIGHEST + 1])).astype(np.complex64)
    across = np.exp(2j * np.pi / SIDE * np.outer(np.arange(HIGHEST + 1), shifts)).astype(np.complex64)
    twice = np.where(np.arange(HIGHEST + 1) > 0, 2, 1)  # a wave and its mirror image, which is not kept
    across = (across * twice[:, None]).astype(np.complex64)
    most = float((((radii() >= LOWEST) & (radii() <= HIGHEST)) * twice).sum())
    found = [np.zeros(0, np.float32)]
    for start in range(0, len(pairs), AT_ONCE):
        one, other = (phases[pairs[start : start + AT_ONCE, side]] for side in (0, 1))
        agreement = (down @ (one * other.conj()) @ across).real  # [P, L, L]
        found.append(agreement.max(axis=(1, 2)) / np.float32(most))
    return np.concatenate(found)


@lru_cache
def radii() -> NDArray[np.float64]:
    """[2 W + 1, W + 1]: waves a side, in whatever direction."""
    return np.hypot(np.r_[-HIGHEST : HIGHEST + 1][:, None], np.arange(HIGHEST + 1))
