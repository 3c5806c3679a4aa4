"""The images of a dataset or a store as the screen of images shows them, in a process that has no screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backends import units
from backends.datasets import open_dataset
from backends.datasets.base import Reading
from backends.stores.manifest import is_store
from backends.stores.store import open_store
from tui.text import safe_text


@dataclass(frozen=True, slots=True)
class Shown:
    """An image with what is said of it; without ``pixels`` it did not decode, for the reason ``why``."""

    facts: str
    pixels: NDArray[np.uint8] | None = None
    why: str = ""


class Album:
    """The images of a dataset's split, or of a whole store, which also lists duplicates and what did not decode.

    ``lists`` has the positions in each list.  Raises ImgstoreError where the path is neither.
    """

    def __init__(self, path: str, split: str | None, how: Reading) -> None:
        self.store = open_store(path) if path != "sample" and is_store(Path(path)) else None
        self._dataset = None if self.store is not None else open_dataset(path, split, how=how)
        source = self.store or self._dataset
        assert source is not None
        self.labels, self.classes, self._name = source.labels, source.classes, source.name
        self.lists: dict[str, Sequence[int]] = {"images": range(len(self.labels))}
        self._first_of: dict[int, int] = {}
        if self.store is not None:
            self._first_of = dict(self.store.duplicates)
            self.lists |= {"duplicates": list(self._first_of), "not decoded": range(len(self.store.failures))}

    def contents(self) -> tuple[dict[str, int], bool]:
        """How many images each list has, and whether the images have classes."""
        return {name: len(positions) for name, positions in self.lists.items()}, bool(self.classes)

    def look(self, name: str, position: int) -> Shown:
        """What a list has at a position, read and decoded."""
        number = self.lists[name][position]
        if self.store is not None and name == "not decoded":
            split, _, file, why = self.store.failures[number]
            return Shown(f"{safe_text(file)}   split {safe_text(split, 40)}", why=why)
        if self._dataset is not None:
            decoded = self._dataset.decode(np.array([number]))
            if decoded.failures:
                return Shown(safe_text(decoded.failures[0].name), why=decoded.failures[0].why)
            pixels = decoded.images.pixels[0]
        elif self.store is not None:
            pixels, _ = self.store[number]
        label = int(self.labels[number])
        words = (
            f"image {number:,} of {len(self.labels):,}",
            f"class {self.classes[label] if 0 <= label < len(self.classes) else label}",
            self._name(number),
            units.shape(pixels.shape),
            f"equal to image {self._first_of[number]:,}" if number in self._first_of else "",
        )
        return Shown("   ".join(safe_text(word, 80) for word in words if word), pixels)

    def of_next_class(self, name: str, position: int, step: int) -> int:
        """The position of the first image of the class one step on, by label, in a list of images."""
        labels = self.labels[np.asarray(self.lists[name])]
        there = np.unique(labels)
        wanted = there[(np.searchsorted(there, labels[position]) + step) % len(there)]
        return int(np.argmax(labels == wanted))
