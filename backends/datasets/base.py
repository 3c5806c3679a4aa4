"""The contract of a dataset: what a user has, read in batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backends.errors import DatasetDamaged

if TYPE_CHECKING:
    from typing import Self

    import numpy as np
    from numpy.typing import NDArray

    from backends.datasets.facts import DatasetFacts
    from backends.images import Images, Records


@dataclass(frozen=True, slots=True)
class Failure:
    """A picture that does not decode: its id, its name, and why."""

    id: int
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """What became of the ids that were asked for.

    Attributes
    ----------
    ids
        ``(n,)`` int64: those that decoded, in the order asked.
    images
        Their pixels and labels.
    source
        Their files' bytes where asked for, else None.
    failures
        The others.
    """

    ids: NDArray[np.int64]
    images: Images
    source: Records | None = None
    failures: tuple[Failure, ...] = ()


class Dataset(ABC):
    """One split of a set of images with labels.  An image's id is its position, from 0."""

    def __init__(self, facts: DatasetFacts, labels: NDArray[np.int64]) -> None:
        self._facts = facts
        self.count = facts.count
        self.image_shape = facts.image_shape
        self.classes = facts.classes
        self.labels = labels
        """``(count,)`` int64; -1 where an image has none."""

    def facts(self) -> DatasetFacts:
        """What this dataset is, as plain data."""
        return self._facts

    def survey(self) -> DatasetFacts:
        """The facts with shapes and raw bytes, for which a folder looks into pictures drawn at random."""
        return self.facts()

    def decode(self, ids: NDArray[np.int64], *, source: bool = False) -> Decoded:
        """Decode as ``read`` does; a picture that does not decode is a failure, not an error.

        Parameters
        ----------
        source
            Give the bytes of the files too, which only datasets with ``source_bytes`` have.
        """
        if source:
            raise DatasetDamaged("this dataset keeps arrays, not picture files: there are no bytes to pass through.")
        return Decoded(ids, self.read(ids))

    @abstractmethod
    def read(self, ids: NDArray[np.int64]) -> Images:
        """Decode the images of ``ids``, each in ``0 .. count - 1``, in that order.

        Ascending ids are the fast way; memory is bounded by the batch and by one source file.

        Raises
        ------
        DatasetDamaged
            A source file is not what it was when the dataset was opened.
        """

    def close(self) -> None:
        """Release what is open.  May be called twice."""
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
