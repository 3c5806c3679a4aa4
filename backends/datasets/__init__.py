"""The datasets of users, a kind a module: pictures, tables, arrays.  ``open_dataset`` opens any of them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backends.datasets.base import Dataset
    from backends.datasets.discover import open_dataset

__all__ = ["Dataset", "open_dataset"]

_MODULES = {
    "Dataset": "backends.datasets.base",
    "open_dataset": "backends.datasets.discover",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'backends.datasets' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
