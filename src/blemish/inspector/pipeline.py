"""Images through a judge with decoding, network and post-processing side by side, answers in order.

decode (thread) → network (thread) → decide (thread) → whoever takes the answers, to write them. Every step
holds few images, and all together few large ones, so that memory does not grow with how many there are. The
answers are those of `BundleInspector.inspect`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from threading import Condition, Lock
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Pixels
from blemish.dataset.hashing import pixel_hash
from blemish.errors import BlemishError
from blemish.images.bit_depth import full_range
from blemish.inspection import Inspection, failed
from blemish.inspector.chain import Chain, Judge, stages_of
from blemish.inspector.inspector import BundleInspector, Forwarded, or_failed
from blemish.inspector.prefetch import Prefetcher, running
from blemish.inspector.sources import Item
from blemish.methods.contract import Network
from blemish.record import ImageDigests, InspectionRecord
from blemish.threads import set_threads

IMAGES_AHEAD = 2  # decoded while the network is busy
MAX_PIXELS_INSIDE = 1 << 26  # of several images on their way; a larger one goes alone


@dataclass(frozen=True)
class Answer:
    """An inspection, and the image that it is drawn on.

    stem: see `Item`; pixels: as stored, of the web from row `top` on where it is a piece of one; None where
    they could not be read
    earlier: whether an inspection that did not end has given it
    """

    stem: str
    inspection: Inspection
    pixels: Pixels | None
    top: int = 0
    earlier: bool = False


@dataclass(frozen=True)
class Decoded:
    """An item that was read.

    pixels: None where it could not be, for the reason `error`; digests: None where no record is written
    stored: of a strip of a web, its pixels before they were converted to the method's channels
    """

    item: Item
    pixels: Pixels | None
    error: str = ""
    decode_ms: float = 0.0
    digests: ImageDigests | None = None
    stored: Pixels | None = None


@dataclass(frozen=True)
class Inferred:
    """A decoded item with its network output, or its inspection: of a chain, or where the network failed."""

    decoded: Decoded
    result: Forwarded | Inspection


@dataclass(frozen=True)
class Answers:
    """Answers as they come, each once. drain: those that wait to be taken, without waiting for more"""

    coming: Iterator[Answer]
    drain: Callable[[], Iterator[Answer]]


@contextmanager
def answers_of(
    judge: Judge,
    items: Iterable[Item],
    *,
    with_maps: bool = False,
    recorded: bool = False,
    max_ahead: int = IMAGES_AHEAD,
) -> Iterator[Answers]:
    """Judge each item in threads, in order; they have ended when the block is left.

    recorded: each answer has a record to replay it by, for which its image is hashed
    max_ahead: images that are decoded while the network is busy
    An item that cannot be read, or is too large for the memory, has an ERROR answer; any other error is
    raised once, where its answer would be.
    """
    steps, budget = Steps(serialize_networks(judge), with_maps), PixelBudget(MAX_PIXELS_INSIDE)
    decoding = Prefetcher(
        lambda item: budget.admit(decoded(item, hashed=recorded)), items, max_ahead=max_ahead
    )
    network = Prefetcher(steps.forward, decoding, prepare=set_threads)
    deciding = Prefetcher(steps.decide, network, prepare=set_threads)
    with running(decoding, network, deciding), closing(budget):
        yield Answers(budget.release_after(deciding), deciding.drain)


class PixelBudget:
    """Limit on the pixels between decoding and the end of an answer; a larger image waits for all others."""

    def __init__(self, max_pixels: int) -> None:
        self.max_pixels, self.inside, self.closed = max_pixels, 0, False
        self.change = Condition()

    def admit(self, image: Decoded) -> Decoded:
        """Return the image as soon as the budget has room for it."""
        size = pixel_count(image.pixels)
        with self.change:
            self.change.wait_for(
                lambda: self.closed or not self.inside or self.inside + size <= self.max_pixels
            )
            self.inside += size
        return image

    def release_after(self, answers: Iterable[Answer]) -> Iterator[Answer]:
        """Pass on answers; the pixels of each are free again when the next is asked for."""
        for answer in answers:
            yield answer
            with self.change:
                self.inside -= pixel_count(answer.pixels)
                self.change.notify()

    def close(self) -> None:
        """Let nobody wait any longer."""
        with self.change:
            self.closed = True
            self.change.notify()


def pixel_count(pixels: Pixels | None) -> int:
    return 0 if pixels is None else pixels.shape[0] * pixels.shape[1]


def decoded(item: Item, *, hashed: bool = False) -> Decoded:
    """Read an item, with the time it took or the reason why it cannot be read."""
    start = perf_counter()
    try:
        pixels = item.read()
    except BlemishError as error:
        return Decoded(item, None, error=str(error), digests=digests_of(item, None) if hashed else None)
    decode_ms = 1e3 * (perf_counter() - start)
    return Decoded(item, pixels, decode_ms=decode_ms, digests=digests_of(item, pixels) if hashed else None)


def digests_of(item: Item, pixels: Pixels | None) -> ImageDigests:
    """Hashes of an item's file and of its decoded pixels, as far as there are any."""
    return ImageDigests(file_digest(item), None if pixels is None else pixel_hash(pixels))


def file_digest(item: Item) -> str | None:
    """SHA-256 of an item's file; None without one, or where it cannot be read, which its answer says."""
    try:
        return item.digest() if item.digest else None
    except BlemishError:
        return None


def with_record(inspection: Inspection, digests: ImageDigests | None, judge: Judge) -> Inspection:
    """Add a record to an inspection whose image was hashed for one. digests: None adds none"""
    if digests is None:
        return inspection
    used = tuple(stage.used for stage in stages_of(judge) if stage.used is not None)
    return replace(inspection, record=InspectionRecord(digests, used))


@dataclass(frozen=True)
class Steps:
    """Work on a decoded item, in two halves; a chain does all of it in the first."""

    judge: Judge
    with_maps: bool

    def forward(self, image: Decoded) -> Inferred:
        name, pixels, judge = image.item.name, image.pixels, self.judge
        if image.item.earlier is not None:
            return Inferred(image, image.item.earlier)
        if pixels is None:
            return Inferred(image, failed(name, image.error, bundle=judge.bundle))
        try:
            pixels = full_range(pixels, judge.bits, name)
        except BlemishError as error:
            return Inferred(image, failed(name, str(error), bundle=judge.bundle))
        image, whole = replace(image, pixels=pixels), image.item.first_row is None

        def half() -> Forwarded | Inspection:
            if isinstance(judge, Chain):
                return judge.judge(
                    pixels, name, with_maps=self.with_maps, decode_ms=image.decode_ms, whole=whole
                )
            return judge.forward(pixels, name, decode_ms=image.decode_ms, whole=whole)

        return Inferred(image, or_failed(half, name, judge.bundle))

    def decide(self, inferred: Inferred) -> Answer:
        judge, result, item = self.judge, inferred.result, inferred.decoded.item
        if isinstance(result, Forwarded):
            assert isinstance(judge, BundleInspector), "a chain has done all in the first half"
            forwarded = result
            result = or_failed(
                lambda: judge.decide(forwarded, with_maps=self.with_maps), forwarded.name, judge.bundle
            )
        if item.earlier is not None:
            return Answer(item.stem, item.earlier, inferred.decoded.pixels, earlier=True)
        result = with_record(result, inferred.decoded.digests, judge)
        if item.first_row is None:
            return Answer(item.stem, result, inferred.decoded.pixels)
        return Answer(item.stem, in_web(result, item.first_row), inferred.decoded.pixels, item.first_row)


def in_web(inspection: Inspection, top: int) -> Inspection:
    """Move the inspection of a piece into pixels of the whole web. top: the piece's first row"""
    if inspection.size is None:
        return inspection
    return replace(inspection.moved(top), rows=(top, top + inspection.size[0]))


def serialize_networks(judge: Judge) -> Judge:
    """Lock the networks of a judge: one runs at a time and has all threads for itself."""
    if isinstance(judge, Chain):
        return judge  # all its networks run in one thread
    lock = Lock()

    def locked(network: Network) -> Network:
        def run(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
            with lock:
                return network(inputs)

        return run

    return replace(judge, networks={name: locked(network) for name, network in judge.networks.items()})
