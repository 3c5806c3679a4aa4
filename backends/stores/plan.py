"""What a conversion is to make: the request, and the shards that follow from it and from the dataset alone."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backends.bench.configuration import SOURCE, Configuration
from backends.bench.staging import BATCH, BATCH_BYTES, PICTURES
from backends.codecs.pictures import MEMORY
from backends.datasets import Dataset, open_dataset
from backends.datasets.base import AS_FOUND, Reading
from backends.datasets.discover import absolute_path
from backends.errors import DatasetDamaged, UsageError
from backends.images import Images, Records
from backends.registry import require_backend

SHARD_BYTES = 1 << 30
SAMPLE = 64
"""Images that are encoded before the start, to know how large records become and how long they take."""

OnError = Literal["skip", "stop"]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What a user asks for.  Stores of equal requests and equal datasets are equal."""

    dataset: str  # an absolute path, or ``sample``
    configuration: Configuration
    split: str | None = None  # None for all of them
    how: Reading = AS_FOUND  # how folders and labels of the dataset are understood
    shard_bytes: int = SHARD_BYTES
    shard_images: int | None = None  # images of a shard; None where its bytes decide
    single: bool = False  # one shard for each split
    resize: int | None = None  # pixels of the shorter side; smaller images stay as they are
    on_error: OnError = "skip"  # what becomes of the conversion where a picture does not decode

    @property
    def is_lossless(self) -> bool:
        """Whether the store gives back the pixels of the dataset, bit for bit."""
        return self.configuration.is_lossless and self.resize is None

    @property
    def digests_pixels(self) -> bool:
        """Whether an image's digest is that of its pixels, else of its record: a file's bytes, or a lossy encoding."""
        return self.configuration.is_lossless and self.configuration.codec != SOURCE


class Shard(msgspec.Struct, frozen=True):
    """A piece of the store: the images of a range of ids of one split."""

    number: int
    path: str  # in the store
    split: str
    start: int
    stop: int

    def __post_init__(self) -> None:
        check_inside(self.path)


def check_inside(path: str) -> None:
    """Raise ValueError where a shard's path leaves the store: shards are removed and made again there."""
    if path.startswith("/") or not path or {"", ".", ".."} & set(path.split("/")):
        raise ValueError(f"the shard {path!r} is not inside the store")


class StorePlan(msgspec.Struct, frozen=True):
    """The shards of a store.  Every process that takes part in a conversion has the same plan."""

    request: Request
    kind: str  # of the dataset
    fingerprints: dict[str, str]  # of each split
    splits: dict[str, int]  # images of each split in the dataset
    image_shape: tuple[int, int, int] | None  # of what is stored, where all looked at have one; a shard may have none
    classes: tuple[str, ...]
    image_bytes: int  # of the pixels of an image of the dataset, about
    shards: tuple[Shard, ...]

    @property
    def images(self) -> int:
        return sum(self.splits.values())


@dataclass(frozen=True, slots=True)
class Sample:
    """What the encoding of some images told."""

    record_bytes: float  # of an image, on average
    image_shape: tuple[int, int, int] | None
    seconds: float  # an image, to decode and encode it
    records: Records


def open_splits(request: Request, poll: Callable[[int], bool] = lambda found: False) -> list[Dataset]:
    """The dataset of each split that is asked for, open.  Raises ImgstoreError as ``open_dataset`` does."""
    with ExitStack() as stack:
        first = stack.enter_context(open_dataset(request.dataset, request.split, poll, request.how))
        names = [] if request.split is not None else list(first.facts().splits)
        others = [
            stack.enter_context(first.of_split(name) or open_dataset(request.dataset, name, poll, request.how))
            for name in names
            if name != first.facts().split
        ]
        stack.pop_all()
        return [first, *others]


def absolute_request(request: Request) -> Request:
    """The request with the path of its dataset made absolute, checked as far as it can be without the dataset.

    Raises UsageError where it cannot be meant, BackendUnavailable where the backend's library is missing.
    """
    configuration = request.configuration
    require_backend(configuration.backend)
    if configuration.is_reference:
        raise UsageError(f"{str(configuration)!r} is there to compare with: choose a backend that keeps images.")
    if configuration.folder is not None:
        raise UsageError(f"{str(configuration)!r}: the store's folder is named beside it: leave @ out.")
    if request.resize is not None and configuration.codec == SOURCE:
        raise UsageError("source keeps the files' own bytes, which cannot be resized: choose raw, png or jpeg.")
    for name in ("shard_bytes", "shard_images", "resize"):
        if (value := getattr(request, name)) is not None and value < 1:
            raise UsageError(f"--{name.replace('_', '-')} {value:,} is too small: give a number from 1 on.")
    if request.dataset == "sample":
        return request
    labels = request.how.labels and str(absolute_path(request.how.labels))
    return msgspec.structs.replace(
        request, dataset=str(absolute_path(request.dataset)), how=replace(request.how, labels=labels)
    )


def make_plan(request: Request, splits: list[Dataset]) -> tuple[StorePlan, Sample]:
    """The plan of a request for an open dataset, and what a sample of its images told.

    Raises UsageError where the configuration cannot keep such images, DatasetDamaged where no picture decodes.
    """
    facts = [dataset.survey() for dataset in splits]
    for one in facts:
        request.configuration.check(one)
    sample = encode_sample(request, splits[0])
    per_shard = request.shard_images or max(1, int(request.shard_bytes / sample.record_bytes))
    shards: list[Shard] = []
    names = request.configuration.entry.shard_path
    for one in facts:
        pieces = 1 if request.single or not one.count else math.ceil(one.count / per_shard)
        cuts = [one.count * piece // pieces for piece in range(pieces + 1)]
        for number, (start, stop) in enumerate(pairwise(cuts)):
            path = names.format(shard=len(shards), split=one.split, number=number, of=pieces)
            shards.append(Shard(len(shards), path, one.split, start, stop))
    images = sum(one.count for one in facts)
    plan = StorePlan(
        request=request,
        kind=facts[0].kind,
        fingerprints={one.split: one.fingerprint for one in facts},
        splits={one.split: one.count for one in facts},
        image_shape=sample.image_shape,
        classes=tuple(dict.fromkeys(name for one in facts for name in one.classes)),
        image_bytes=sum(one.raw_bytes or 0 for one in facts) // max(1, images),
        shards=tuple(shards),
    )
    return plan, sample


def encode_sample(request: Request, dataset: Dataset) -> Sample:
    """Encode some images of a split, always the same ones.  Raises DatasetDamaged where none of them decodes."""
    facts = dataset.survey()
    ids = np.sort(np.random.default_rng(0).choice(facts.count, min(SAMPLE, facts.count), replace=False)).astype(
        np.int64
    )
    begin = time.perf_counter()
    batch = read_batch(request, dataset, ids, facts.image_shape, facts.classes)
    reading = time.perf_counter() - begin
    if not len(batch.ids):
        raise DatasetDamaged(f"no picture of the dataset decodes ({batch.failures[0][1]}: {batch.failures[0][2]}).")
    if facts.source_bytes is None:  # scattered images of arrays take much longer than those that lie together
        begin = time.perf_counter()
        read_batch(request, dataset, ids[-1:].repeat(len(ids)), facts.image_shape, facts.classes)
        reading = time.perf_counter() - begin
    begin = time.perf_counter()
    records = batch.encoded(request.configuration)
    seconds = reading + time.perf_counter() - begin
    shape = batch.image_shape if facts.image_shape is not None else None
    return Sample(len(records.data) / len(batch.ids), shape, seconds / len(batch.ids), records)


@dataclass(frozen=True, slots=True)
class Batch:
    """Images of a dataset as they are stored: decoded, and resized where that is asked for."""

    ids: NDArray[np.int64]  # (n,): those that decoded
    images: Images
    records: Records | None  # the files' own bytes, for ``source``
    failures: tuple[tuple[int, str, str], ...]  # id, name and reason of those that did not decode

    @property
    def image_shape(self) -> tuple[int, int, int] | None:
        """The shape that all images have, else None."""
        pixels = self.images.pixels
        shapes = {pixels.shape[1:]} if isinstance(pixels, np.ndarray) else {image.shape for image in pixels}
        return shapes.pop() if len(shapes) == 1 else None

    def encoded(self, configuration: Configuration) -> Records:
        """The records to store."""
        return self.records or configuration.make_codec().encode(self.images)


def read_batches(
    request: Request,
    dataset: Dataset,
    ids: NDArray[np.int64],
    image_shape: tuple[int, int, int] | None,
    classes: tuple[str, ...],
) -> Iterator[Batch]:
    """Decode the images of ``ids`` as ``read_batch`` does, in pieces of a bounded memory."""
    while len(ids):
        batch = read_batch(request, dataset, ids, image_shape, classes)
        yield batch
        ids = ids[len(batch.ids) + len(batch.failures) :]


def read_batch(
    request: Request,
    dataset: Dataset,
    ids: NDArray[np.int64],
    image_shape: tuple[int, int, int] | None,
    classes: tuple[str, ...],
) -> Batch:
    """Decode the first images of ``ids``; pixels are one array where all have the ``image_shape`` expected.

    Labels are numbers of ``classes``: a split may lack some of them and number the others on its own.
    """
    decoded = dataset.decode(ids, source=request.configuration.codec == SOURCE, memory=MEMORY)
    images, records = decoded.images, decoded.source
    if dataset.classes != classes:
        numbers = np.array([*map(classes.index, dataset.classes), -1], np.int64)  # -1 stays what it is
        images = replace(images, labels=numbers[images.labels])
        records = records and replace(records, labels=images.labels)
    if request.resize is not None:
        images = Images([_resized(image, request.resize) for image in images.pixels], images.labels)
    pixels = images.pixels
    if not isinstance(pixels, np.ndarray) and image_shape is not None and len({image.shape for image in pixels}) == 1:
        images = Images(np.stack(pixels), images.labels)
    failures = tuple((failure.id, failure.name, failure.why) for failure in decoded.failures)
    return Batch(decoded.ids, images, records, failures)


def _resized(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The image with ``side`` pixels at its shorter side, or as it is where that is not longer."""
    height, width, channels = image.shape
    if min(height, width) <= side:
        return image
    scale = side / min(height, width)
    picture = Image.fromarray(image[:, :, 0] if channels == 1 else image)
    small = picture.resize((max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.LANCZOS)
    return np.asarray(small).reshape(small.height, small.width, channels)


def batches(plan: StorePlan, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Ids ``start`` to ``stop`` in batches of a bounded memory, as ``(start, stop)``."""
    most = PICTURES if plan.image_shape is None else BATCH
    size = min(most, max(1, BATCH_BYTES // max(1, plan.image_bytes)))
    for low in range(start, stop, size):
        yield low, min(stop, low + size)
