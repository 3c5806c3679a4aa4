"""The backend lmdb."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.testing import BackendTests
from tests.backends.plain import run_plain_lines

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


class TestLMDB(BackendTests):
    backend = "lmdb"

    def plain_read(self, path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        return run_plain_lines("lmdb", path)
