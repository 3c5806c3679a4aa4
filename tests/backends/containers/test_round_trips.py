"""Whatever is stored comes back, in whatever batches and order: each backend with each codec."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from backends.images import Images, Layout
from backends.registry import backend_entry, make_backend
from backends.testing.subject import assert_same, read, store
from tests.backends.containers import BACKENDS

SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 6), st.sampled_from([1, 3, 4]))
IMAGE = SHAPES.flatmap(lambda shape: stn.arrays(np.uint8, shape))
FIXED = SHAPES.flatmap(lambda shape: stn.arrays(np.uint8, st.integers(0, 12).map(lambda count: (count, *shape))))


@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=40, deadline=None)
@given(data=st.data(), batch=st.integers(1, 9))
def test_what_is_stored_comes_back(backend: str, data: st.DataObject, batch: int) -> None:
    codec = data.draw(st.sampled_from(backend_entry(backend).codecs or ("raw", "png", "source")))
    pixels = data.draw(st.one_of(FIXED, st.lists(IMAGE, max_size=12)))
    count, subject = len(pixels), make_backend(backend)
    labels = data.draw(stn.arrays(np.int64, count))
    classes = tuple(data.draw(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=3)))
    shape = pixels.shape[1:] if isinstance(pixels, np.ndarray) else None
    images, layout = Images(pixels, labels), Layout(count, codec, shape, classes)
    rows = data.draw(st.lists(st.integers(-count, count - 1), max_size=9)) if count else []
    key = data.draw(st.one_of(st.just(np.array(rows, np.int64)), st.slices(count)))
    with tempfile.TemporaryDirectory() as folder:
        store(subject, Path(folder, "container"), images, layout, batch)
        with subject.open(Path(folder, "container")) as reader:
            assert reader.layout == layout
            assert_same(read(reader), images)
            assert_same(read(reader, key), images, np.arange(count)[key])
