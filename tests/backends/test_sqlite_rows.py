"""Where rows lie in a SQLite file."""

from __future__ import annotations

import numpy as np

from backends.sqlite_rows import LOCK_PAGE, ROOT, Rows, page_numbers


def test_the_page_of_the_lock_is_left_out() -> None:
    known = Rows(100_000, 16_000)
    pages = page_numbers(np.arange(known.leaves))
    assert LOCK_PAGE not in pages
    assert LOCK_PAGE + 1 in pages
    branches = [number for number, _ in known.branches()]
    assert branches[-1] == ROOT
    assert len(set(branches) | set(pages.tolist())) == len(branches) + known.leaves
    for span in known.spans:
        rows = np.arange(span.start, span.stop)
        places = span.positions(rows)
        ends = np.arange(span.start, span.stop, span.per_page) + span.per_page
        assert (np.diff(places) > 0).all()
        assert (places[np.minimum(ends, span.stop) - span.start - 1] % 65_536 == 65_536 - span.cell_bytes).all()
    # Blocks say the same place, one by one, and none spans the page that is left out.
    blocks = list(known.blocks(0, 100_000))
    assert sum(block.count for block in blocks) == 100_000
    for block in blocks:
        data = np.empty(block.pages * block.width, np.uint8)
        places = block.position + np.array(
            [cell.ctypes.data - data.ctypes.data for page in block.cells(data) for cell in page]
        )
        assert np.array_equal(places, block.span.positions(np.arange(block.first, block.first + block.count)))
