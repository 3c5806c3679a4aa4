"""Batches put together out of single values."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from backends.containers.records import join_records
from backends.errors import ContainerDamaged
from backends.images import Layout

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path("here")
LAYOUT = Layout(10, "raw", (1, 2, 1))
ROWS = np.array([7, 3, 5])
WHOLE = [b"ab", b"cd", b"ef"]


def test_values_are_copied_in_their_order() -> None:
    data, offsets = join_records(iter(WHOLE), ROWS, LAYOUT, None, HERE)
    assert data.tobytes() == b"abcdef"
    assert offsets.tolist() == [0, 2, 4, 6]


@pytest.mark.parametrize("bad", [None, b"", b"abc", 7])
@pytest.mark.parametrize("index", [0, 1, 2])
def test_the_row_of_a_value_that_does_not_fit_is_named(bad: object, index: int) -> None:
    values: list[object] = [*WHOLE]
    values[index] = bad
    with pytest.raises(ContainerDamaged, match=f"here is damaged: image {ROWS[index]} is missing or has not 2 bytes"):
        join_records(values, ROWS, LAYOUT, None, HERE)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_first_row_without_a_value_is_named(count: int) -> None:
    with pytest.raises(ContainerDamaged, match=f"image {ROWS[count]} is missing"):
        join_records(WHOLE[:count], ROWS, LAYOUT, None, HERE)


def test_what_reading_a_value_says_is_passed_on() -> None:
    def values() -> Iterator[bytes]:
        yield b"ab"
        raise ContainerDamaged("the file ends")

    with pytest.raises(ContainerDamaged, match="the file ends"):
        join_records(values(), ROWS, LAYOUT, None, HERE)
