"""What lies at a path, by names and first bytes alone; no pixel has been read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backends.datasets.base import Dataset


@dataclass(frozen=True, slots=True)
class Found:
    """A dataset that is recognised and not yet opened.

    Attributes
    ----------
    kind
        What it seems to be, in words: ``CIFAR-10``.
    location
        The folder or file, absolute.
    open
        Opens it, of the path as the user wrote it, a split (None for the first), and a function that is asked now
        and then whether to stop.
    """

    kind: str
    location: Path
    open: Callable[[str, str | None, Callable[[], bool]], Dataset]


@dataclass(frozen=True, slots=True)
class Listing:
    """The first entries of a folder, sorted: ``files`` are all that is not a folder."""

    folder: Path
    files: tuple[str, ...]
    folders: tuple[str, ...]
