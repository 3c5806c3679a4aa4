"""The conformance suite that every backend passes: ours, and those of other packages.

>>> from backends.testing import BackendTests
>>> class TestMine(BackendTests):  # pytest collects it
...     backend = "mine"

Needs pytest.
"""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(*(f"backends.testing.{part}" for part in ("batches", "contents", "readers", "writers")))

from backends.testing.suite import BackendTests  # noqa: E402

__all__ = ["BackendTests"]
