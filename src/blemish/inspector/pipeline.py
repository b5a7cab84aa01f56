"""Pictures through a judge with decoding, network and post-processing side by side, answers in order.

decode (thread) → network (thread) → decide (thread) → whoever takes the answers, to write them. Every step
holds few pictures, and all together few large ones, so that memory does not grow with how many there are. The
answers are those of `Inspector.inspect`.
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
from blemish.errors import BlemishError
from blemish.images.decode import with_channels
from blemish.inspection import Inspection, failed
from blemish.inspector.ahead import Ahead, running
from blemish.inspector.chain import Chain, Judge
from blemish.inspector.inspector import Forwarded, Inspector, or_failed
from blemish.inspector.sources import Item
from blemish.methods.contract import Network
from blemish.threads import set_threads

PICTURES_AHEAD = 2  # decoded while the network is busy
PIXELS_INSIDE = 1 << 26  # of several pictures on their way; a larger one goes alone


@dataclass(frozen=True)
class Answer:
    """An inspection, and what it is drawn on.

    stem: see `Item`; pixels: as stored, of the web from row `top` on where it is a piece of one; None where
    they could not be read
    """

    stem: str
    inspection: Inspection
    pixels: Pixels | None
    top: int = 0


@dataclass(frozen=True)
class Decoded:
    """An item that was read. pixels: None where it could not be, for the reason `error`"""

    item: Item
    pixels: Pixels | None
    error: str = ""
    decode_ms: float = 0.0


@dataclass(frozen=True)
class Halfway:
    """A decoded item behind the network; of a chain, or where that failed, its inspection is there."""

    decoded: Decoded
    result: Forwarded | Inspection


@dataclass(frozen=True)
class Answers:
    """Answers as they come, each once. ready: those that wait to be taken"""

    coming: Iterator[Answer]
    ready: Callable[[], Iterator[Answer]]


@contextmanager
def answers_of(judge: Judge, items: Iterable[Item], *, with_maps: bool = False) -> Iterator[Answers]:
    """The judge's answer for each item, in order; behind this no thread is left at work.

    An item that cannot be read, or is too large for the memory, has an ERROR answer; any other error is
    raised once, where its answer would be.
    """
    steps, room = Steps(taking_turns(judge), with_maps), Room(PIXELS_INSIDE)
    decoding = Ahead(lambda item: room.entered(decoded(item)), items, most=PICTURES_AHEAD)
    network = Ahead(steps.forward, decoding, prepare=set_threads)
    deciding = Ahead(steps.decide, network, prepare=set_threads)
    with running(decoding, network, deciding), closing(room):
        yield Answers(room.left(deciding), deciding.ready)


class Room:
    """For so many pixels between decoding and the end of an answer; a larger picture waits for all others."""

    def __init__(self, most: int) -> None:
        self.most, self.inside, self.closed = most, 0, False
        self.change = Condition()

    def entered(self, given: Decoded) -> Decoded:
        """The picture, once there is room for it."""
        size = pixels_of(given.pixels)
        with self.change:
            self.change.wait_for(lambda: self.closed or not self.inside or self.inside + size <= self.most)
            self.inside += size
        return given

    def left(self, answers: Iterable[Answer]) -> Iterator[Answer]:
        """The answers; each has left when the next is asked for."""
        for answer in answers:
            yield answer
            with self.change:
                self.inside -= pixels_of(answer.pixels)
                self.change.notify()

    def close(self) -> None:
        """Nobody waits any longer."""
        with self.change:
            self.closed = True
            self.change.notify()


def pixels_of(picture: Pixels | None) -> int:
    return 0 if picture is None else picture.shape[0] * picture.shape[1]


def decoded(item: Item) -> Decoded:
    start = perf_counter()
    try:
        pixels = item.read()
    except BlemishError as error:
        return Decoded(item, None, error=str(error))
    return Decoded(item, pixels, decode_ms=1e3 * (perf_counter() - start))


@dataclass(frozen=True)
class Steps:
    """What is done with a decoded item, in two halves; a chain does all in the first."""

    judge: Judge
    with_maps: bool

    def forward(self, given: Decoded) -> Halfway:
        name, pixels, judge = given.item.name, given.pixels, self.judge
        if pixels is None:
            return Halfway(given, failed(name, given.error, bundle=judge.bundle))
        own = with_channels(pixels, judge.inference.channels)

        def half() -> Forwarded | Inspection:
            if isinstance(judge, Chain):
                return judge.judge(own, name, with_maps=self.with_maps, decode_ms=given.decode_ms)
            return judge.forward(own, name, decode_ms=given.decode_ms)

        return Halfway(given, or_failed(half, name, judge.bundle))

    def decide(self, given: Halfway) -> Answer:
        return answered(given.decoded, self.inspection(given.result))

    def inspection(self, result: Forwarded | Inspection) -> Inspection:
        judge = self.judge
        if isinstance(result, Inspection):
            return result
        assert isinstance(judge, Inspector), "a chain has done all in the first half"
        return or_failed(lambda: judge.decide(result, with_maps=self.with_maps), result.name, judge.bundle)


def answered(given: Decoded, inspection: Inspection) -> Answer:
    """The answer in pixels of the web, where the item is a piece of one."""
    top = given.item.first_row
    if top is None:
        return Answer(given.item.stem, inspection, given.pixels)
    return Answer(given.item.stem, in_web(inspection, top), given.pixels, top)


def in_web(inspection: Inspection, top: int) -> Inspection:
    """The inspection of a piece in pixels of the whole web. top: the piece's first row"""
    if inspection.size is None:
        return inspection
    defects = tuple(defect.moved(top) for defect in inspection.defects)
    return replace(inspection, defects=defects, rows=(top, top + inspection.size[0]))


def taking_turns(judge: Judge) -> Judge:
    """The same judge, of whose networks one runs at a time: each has all threads for itself."""
    if isinstance(judge, Chain):
        return judge  # all its networks run in one thread
    lock = Lock()
    networks = {name: in_turn(network, lock) for name, network in judge.networks.items()}
    return replace(judge, networks=networks)


def in_turn(network: Network, lock: Lock) -> Network:
    def alone(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        with lock:
            return network(inputs)

    return alone
