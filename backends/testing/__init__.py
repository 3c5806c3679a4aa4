"""The conformance suite that every backend passes: ours, and those of other packages.

>>> from backends.testing import BackendTests
>>> class TestMine(BackendTests):  # pytest collects it
...     backend = "mine"

Needs pytest.
"""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(*(f"backends.testing.{part}" for part in ("subject", "readers", "sharing", "writers")))

from backends.testing.readers import Readers  # noqa: E402
from backends.testing.sharing import Sharing  # noqa: E402
from backends.testing.writers import Writers  # noqa: E402

__all__ = ["BackendTests"]


class BackendTests(Readers, Sharing, Writers):
    """What a backend promises.  A subclass names it as ``backend``, and pytest runs the suite."""
