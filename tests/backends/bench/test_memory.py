"""Memory: what a trial uses, and what is made present before its clock starts."""

from __future__ import annotations

import os
import resource
import sys

import pytest

from backends.bench import meters
from backends.bench.meters import MemoryWatch, make_present
from backends.testing.processes import in_child

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the peak is Linux's"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]
SIZE = 1 << 26


def touched(most: int, free_pages: int | None, address_space: int | None) -> int:
    """By how many bytes the resident peak grows when ``SIZE`` bytes are made present."""
    meters.PRESENT_BYTES = most
    if free_pages is not None:
        os.sysconf = lambda name: free_pages
    if address_space is not None:
        resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))
    watches = MemoryWatch(), MemoryWatch()
    watches[0].settle()
    make_present(SIZE)
    watches[1].settle()
    return (watches[1].peak_rss or 0) - (watches[0].peak_rss or 0)


@pytest.mark.parametrize(
    ("most", "free_pages", "address_space", "least", "at_most"),
    [
        (1 << 40, None, None, SIZE, 2 * SIZE),
        (SIZE // 4, None, None, SIZE // 4, SIZE // 2),
        (1 << 40, 2_048, None, 0, SIZE // 4),
        (1 << 40, None, 1 << 20, 0, SIZE // 4),
    ],
)
def test_what_is_asked_is_touched_unless_it_is_not_free(
    most: int, free_pages: int | None, address_space: int | None, least: int, at_most: int
) -> None:
    code, found = in_child("fork", touched, most, free_pages, address_space)
    assert code == 0
    assert least <= found <= at_most
