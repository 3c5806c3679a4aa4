"""What a dataset is, as plain data: for the screen, for ``info``, and for the record of a run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """A dataset's description, free of pixels and of numpy.

    Attributes
    ----------
    path
        As the user wrote it: a path, or ``sample``.
    kind
        What it is, in words: ``CIFAR-10``.
    split
        The split that is described; ``splits`` has all of them with their numbers of images.
    image_shape
        ``(height, width, channels)`` where all images have one, else None.
    raw_bytes
        Bytes of all pixels of the split, uint8; None where no picture was looked into yet.
    class_counts
        Images of each class, in the order of ``classes``.
    fingerprint
        Hexadecimal digest that two equal datasets share.
    source_bytes
        Bytes of the split's picture files; None for datasets that keep arrays, which have no ``source`` codec.
    estimated
        Whether shape and raw bytes come from some headers drawn at random.
    notes
        Sentences on what was found besides pictures: links followed, files passed over, conversions.
    """

    path: str
    kind: str
    split: str
    splits: dict[str, int]
    count: int
    image_shape: tuple[int, int, int] | None
    raw_bytes: int | None
    classes: tuple[str, ...]
    class_counts: tuple[int, ...]
    fingerprint: str
    source: str = ""
    source_bytes: int | None = None
    estimated: bool = False
    notes: tuple[str, ...] = ()
