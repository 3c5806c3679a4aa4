"""Tests of the backends of this program."""

from backends.registry import backend_entries, backend_entry

BACKENDS = tuple(backend_entries())
"""Their names; ``tests/conftest.py`` hides plug-ins."""


def kept(backend: str, *codecs: str) -> str:
    """The first of these codecs that a backend keeps."""
    return next(codec for codec in codecs if codec in (backend_entry(backend).codecs or codecs))
