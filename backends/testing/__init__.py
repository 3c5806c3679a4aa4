"""The conformance suite that every backend passes: ours, and those of other packages.

>>> from backends.testing import BackendTests
>>> class TestMine(BackendTests):  # pytest collects it
...     backend = "mine"

Needs pytest.
"""

from __future__ import annotations

from backends.testing.suite import BackendTests

__all__ = ["BackendTests"]
