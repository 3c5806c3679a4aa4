"""How lots of images are kept on disk, and how that is measured.  Knows no user interface.

The names below are imported on first use; importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backends.base import Backend, Codec, Reader, Writer
    from backends.bench.configuration import Configuration
    from backends.datasets import Dataset, open_dataset
    from backends.errors import ImgstoreError
    from backends.images import Images, Layout, Records
    from backends.registry import BackendEntry, backend_entries, make_backend, make_codec

_HOMES = {
    "Backend": "backends.base",
    "BackendEntry": "backends.registry",
    "Codec": "backends.base",
    "Configuration": "backends.bench.configuration",
    "Dataset": "backends.datasets",
    "Images": "backends.images",
    "ImgstoreError": "backends.errors",
    "Layout": "backends.images",
    "Reader": "backends.base",
    "Records": "backends.images",
    "Writer": "backends.base",
    "backend_entries": "backends.registry",
    "make_backend": "backends.registry",
    "make_codec": "backends.registry",
    "open_dataset": "backends.datasets",
}

__all__ = [
    "Backend",
    "BackendEntry",
    "Codec",
    "Configuration",
    "Dataset",
    "Images",
    "ImgstoreError",
    "Layout",
    "Reader",
    "Records",
    "Writer",
    "backend_entries",
    "make_backend",
    "make_codec",
    "open_dataset",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'backends' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
