"""What an operation needs while it is measured, and the comparison of what it read with the source."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from backends.bench.configuration import SOURCE, Configuration
from backends.bench.measurement import Trial
from backends.bench.memory import MemoryWatch
from backends.bench.source import Source
from backends.bench.stopwatch import Stopwatch
from backends.errors import ContainerDamaged
from backends.images import Layout
from backends.registry import make_backend, make_codec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from backends.base import Backend, Codec
    from backends.images import Records

    Pixels = NDArray[np.uint8] | Sequence[NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution of a trial's operation on ``artefact``: on all of its images, or on a worker's part.

    Attributes
    ----------
    start, stop
        The images of the source.
    decoded
        A folder for the digests of what the records of a lossy codec decode to.
    worker, workers
        Which of how many this is.
    tick
        Told which worker has done how many images; what it raises ends the execution.
    again
        Whether the same was done and compared before: only the clock counts.
    remarks
        What else is to be said of the measurement.
    """

    trial: Trial
    source: Source
    configuration: Configuration
    artefact: Path
    watch: Stopwatch
    memory: MemoryWatch
    tick: Callable[[int, int], None]
    batch: int
    seed: int
    start: int
    stop: int
    decoded: Path
    worker: int = 0
    workers: int = 1
    again: bool = False
    remarks: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return self.stop - self.start

    @property
    def layout(self) -> Layout:
        """Of the container that is stored."""
        return Layout(self.count, self.configuration.codec, self.source.image_shape, self.source.classes)

    def progress(self, done: int) -> None:
        """So many images are done; the memory is looked at."""
        if not self.again:
            self.tick(self.worker, done)
            self.memory.sample()

    def check(self) -> None:
        """Nothing more is done, but a trial that is cancelled ends here."""
        self.tick(self.worker, self.count)

    def backend(self) -> Backend:
        return make_backend(self.configuration.backend, self.configuration.backend_options)

    def codec(self) -> Codec:
        return make_codec(self.configuration.codec, self.configuration.codec_options)

    def encoded(self, codec: Codec) -> Iterator[Records]:
        """The records to store, in batches: the files' own bytes, or what the codec makes of the pixels."""
        if codec.name == SOURCE:
            yield from self.source.records(self.start, self.stop)
            return
        for images in self.source.images(self.start, self.stop):
            with self.watch.phase("encode"):
                records = codec.encode(images)
            yield records

    def batches(self) -> Iterator[NDArray[np.int64]]:
        """The rows of each batch of a shuffled read: one permutation for all configurations; workers take turns.

        A batch of large images comes in parts.
        """
        count = self.trial.count
        order = np.random.default_rng(self.seed).permutation(count)
        step = self.batch * self.workers
        for start in range(self.batch * self.worker, count, step):
            yield from self.source.parts(order[start : start + self.batch])

    def shards(self) -> list[tuple[int, int, Path]]:
        """The first and last image of each container, and the container: as many as there are workers."""
        cuts = [self.trial.count * worker // self.workers for worker in range(self.workers + 1)]
        if self.workers == 1:
            return [(0, cuts[1], self.artefact)]
        return [(*cut, self.artefact / f"{at:05}") for at, cut in enumerate(pairwise(cuts))]

    def compare(self, found: NDArray[np.uint64], expected: NDArray[np.uint64], rows: NDArray[np.int64]) -> None:
        """Raises ContainerDamaged where digests differ; ``rows`` are those of the images compared."""
        if not np.array_equal(found, expected):
            first = rows[int(np.flatnonzero(found != expected)[0])] if len(found) == len(expected) else rows[0]
            raise ContainerDamaged(f"image {first:,} of {self.trial.configuration} is not what was stored.")

    def compare_labels(self, found: NDArray[np.int64]) -> None:
        """Raises ContainerDamaged where labels, or their number, differ."""
        if self.again:
            return
        if len(found) != self.count:
            raise ContainerDamaged(f"{self.trial.configuration} holds {len(found):,} images of {self.count:,}.")
        if not np.array_equal(found, self.source.labels(self.start, self.stop)):
            raise ContainerDamaged(f"{self.trial.configuration} gave other labels than it was given.")
