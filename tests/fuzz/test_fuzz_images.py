"""Image files with some changed bytes: pixels, or a refusal in one line; no other error, in bounded time."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.errors import BlemishError
from blemish.images.decode import page_count, read_image
from blemish.images.opening import EncodedImage
from tests.fuzz.harness import settings
from tests.fuzz.outcomes import note_outcome
from tests.images.test_damage import CHECKED, JPEGS, LENGTHS, tiff

FILES = {
    **{f"jpeg {name}": data for name, data in JPEGS.items()},
    **CHECKED,
    **LENGTHS,
    "tiff predicted": tiff(compression="lzw", predictor=True),
    "tiff big": tiff(bigtiff=True, byteorder=">"),
}
HEADER = 400  # bytes in which most mutations fall: the others mostly change pixels


@pytest.mark.parametrize("name", FILES)
def test_a_mutated_file_is_read_or_refused(name: str) -> None:
    data = FILES[name]
    places = st.one_of(st.integers(0, min(HEADER, len(data) - 1)), st.integers(0, len(data) - 1))

    @settings
    @given(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=4))
    def run(changes: list[tuple[int, int]]) -> None:
        mutated = bytearray(data)
        for place, value in changes:
            mutated[place] = value
        start = time.process_time()
        for read in (read_image, page_count):
            try:
                result = read(EncodedImage(bytes(mutated), "mutated"))
            except BlemishError as error:
                assert "\n" not in str(error)
                outcome = "refused"
            else:
                assert isinstance(result, int) or result.dtype in (np.uint8, np.uint16)
                outcome = "read"
            if read is read_image:
                note_outcome("pictures", outcome)
        assert time.process_time() - start < 20

    run()
