"""The rules of ``backends.base`` as tests."""

from __future__ import annotations

from backends.testing.contents import Contents
from backends.testing.readers import Readers
from backends.testing.writers import Writers


class BackendTests(Contents, Readers, Writers):
    """What a backend promises.  A subclass names it as ``backend``, and pytest runs the suite."""
