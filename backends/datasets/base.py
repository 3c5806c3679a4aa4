"""The contract of a dataset: a user's images and labels, read in batches, and what is known of it."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, ClassVar

from backends.errors import DatasetDamaged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    import numpy as np
    from numpy.typing import NDArray

    from backends.images import Images, Records


LAYOUTS = ("flat", "classes", "splits")
"""What the folders of a dataset may be: nothing of meaning, classes, or splits."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How the user wants a dataset to be read; what is empty is found out."""

    root: str = ""  # a folder inside the dataset: only this one is read
    layout: str = ""  # one of LAYOUTS
    labels: str = ""  # the path of a CSV file of file,label


AS_FOUND = Reading()


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetFacts:
    """A description of one split of a dataset, as plain data: for the screen, ``info`` and the record of a run."""

    path: str  # as the user wrote it: a path, or ``sample``
    kind: str  # for example ``CIFAR-10`` or ``picture folder``
    split: str
    splits: dict[str, int]  # images of each split
    count: int = 0  # images of this split
    image_shape: tuple[int, int, int] | None = None  # (height, width, channels) if all images have the same
    raw_bytes: int | None = None  # of all pixels of the split; None while no picture has been looked into
    classes: tuple[str, ...] = ()  # names by label; empty if there are no classes
    class_counts: tuple[int, ...] = ()  # images of each class
    fingerprint: str  # hexadecimal digest that is the same for equal datasets
    source: str = ""  # absolute path of the folder or archive, or where the sample is from
    source_bytes: int | None = None  # of the split's picture files; None for arrays, which have no ``source`` codec
    estimated: bool = False  # whether shape and raw bytes are estimated from the headers of some pictures
    notes: tuple[str, ...] = ()  # sentences on links followed, files skipped and pictures converted
    sampled: int | None = None  # picture files whose headers were read; None where none needs to be
    undecodable: int = 0  # of these, files that are no pictures, or damaged
    left_out: int = 0  # files that are passed over
    how: Reading = AS_FOUND

    @property
    def images(self) -> int:
        """Images of this split without the files that are known not to decode."""
        return self.count if self.estimated else self.count - self.undecodable


@dataclass(frozen=True, slots=True)
class Failure:
    """A picture that does not decode."""

    id: int
    name: str  # of its file
    why: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """The result of decoding a batch of ids."""

    ids: NDArray[np.int64]  # (n,): those that decoded, in the order of the request
    images: Images
    source: Records | None = None  # the bytes of their files, if requested
    failures: tuple[Failure, ...] = ()  # the pictures that did not decode


class Skipped:
    """What is passed over: counts by reason, and all paths, packed."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.first: dict[str, str] = {}  # in the order of their names, whatever order a disk has
        self._paths: dict[str, bytearray] = {}

    def add(self, why: str, path: str) -> None:
        self.counts[why] += 1
        self.first[why] = min(self.first.get(why, path), path)
        self._paths.setdefault(why, bytearray()).extend(os.fsencode(path) + b"\0")

    def paths(self) -> Iterator[tuple[str, str]]:
        """Path and reason of each."""
        for why, packed in self._paths.items():
            for path in bytes(packed[:-1]).split(b"\0"):
                yield os.fsdecode(path), why


class Dataset(ABC):
    """One split of a set of images with labels.  An image's id is its position, from 0."""

    takes_reading: ClassVar[bool] = False  # whether a ``Reading`` says anything about it

    def __init__(self, facts: DatasetFacts, labels: NDArray[np.int64]) -> None:
        """Keep ``facts`` with the images of the split and of each class counted; those without a label are in none."""
        import numpy as np

        counts = np.bincount(labels[labels >= 0], minlength=len(facts.classes)).tolist() if facts.classes else ()
        self._facts = facts = replace(facts, count=len(labels), class_counts=tuple(counts))
        self.count = facts.count
        self.image_shape = facts.image_shape
        self.classes = facts.classes
        self._skipped: list[Skipped] = []
        self.labels = labels
        """``(count,)`` int64; -1 for an image without a label."""

    def facts(self) -> DatasetFacts:
        """What is known without looking into pictures."""
        return self._facts

    def survey(self) -> DatasetFacts:
        """The facts with shape and raw bytes, for which a folder reads the headers of some pictures."""
        return self.facts()

    def of_split(self, split: str) -> Dataset | None:
        """Another split, without listing its files again; closing one closes both.  None where none were listed."""
        return None

    def name(self, id_: int) -> str:
        """The original file name of an image, empty where there is none; undecodable bytes become surrogates."""
        return ""

    def skipped(self) -> Iterator[tuple[str, str]]:
        """Path and reason of each file that is passed over."""
        for one in self._skipped:
            yield from one.paths()

    def leave_out(self, skipped: Skipped) -> None:
        """Note in the facts what is passed over."""
        listed = [f"{why} ({count:,}, first {skipped.first[why]})" for why, count in sorted(skipped.counts.items())]
        if listed:
            self._skipped.append(skipped)
            facts, left_out = self._facts, self._facts.left_out + skipped.counts.total()
            self._facts = replace(facts, notes=(*facts.notes, f"Left out: {', '.join(listed)}."), left_out=left_out)

    def first_skipped(self, most: int) -> list[tuple[str, str]]:
        """The first of what ``skipped`` gives, as another process can have it."""
        return list(islice(self.skipped(), most))

    def decode(self, ids: NDArray[np.int64], *, source: bool = False, memory: int | None = None) -> Decoded:
        """Decode the images of ``ids`` as ``read`` does, but list pictures that do not decode as failures.

        With ``source``, return the bytes of their files too; datasets without ``source_bytes`` raise DatasetDamaged.
        With ``memory``, a picture of more bytes by its header is a failure, and only the first of ``ids`` may be done:
        as many as images and failures are returned.
        """
        if source:
            raise DatasetDamaged("this dataset keeps arrays, not picture files: there are no bytes to pass through.")
        return Decoded(ids, self.read(ids))

    @abstractmethod
    def read(self, ids: NDArray[np.int64]) -> Images:
        """Decode the images of ``ids``, ``(n,)`` int64 from 0 to ``count - 1``, in that order.

        Ascending ids are the fastest; memory is limited to the batch and one source file.  Raises DatasetDamaged if a
        file has changed since the dataset was opened, or does not decode.
        """

    def close(self) -> None:
        """Close open files.  May be called twice."""
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
