"""The timed operations store, read and shuffled, and their check against the source outside the clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.base import Backend, Codec, Reader
from backends.bench.configuration import SOURCE, Configuration
from backends.bench.disk import sync
from backends.bench.measurement import EpochFacts, Trial
from backends.bench.meters import SYNC, MemoryWatch, Stopwatch
from backends.bench.staging import Source, digests_of, record_digests
from backends.errors import ContainerDamaged
from backends.images import Layout, Records

Pixels = NDArray[np.uint8] | Sequence[NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class Loading:
    """How the operation epoch reads."""

    code: str  # of a printed loader of the artefact
    python: str  # the interpreter that runs it
    workers: tuple[int, ...]  # numbers of worker processes to try
    fetch: str  # batch or item
    image_size: int | None  # pixels a side that each image is brought to
    step_seconds: float  # that training takes for a batch


@dataclass(frozen=True, slots=True)
class Task:
    """A trial with what its process needs to execute it."""

    trial: Trial
    source: Source
    artefact: Path  # the container that a store makes and a read reads
    batch: int = 256  # of shuffled reads
    seed: int = 0
    copy_bytes: int = 0  # of further containers that a short store may make when it is repeated
    workers: int = 1  # processes that share the work, where there is enough of it
    loading: Loading | None = None  # of an epoch

    @property
    def rehearsal(self) -> Path:
        """A folder for a container of one image, which is stored and read before the clock starts."""
        return self._beside(self.trial.aspect.replace(" ", "-"))

    @property
    def decoded(self) -> Path:
        """The folder of the digests of what a lossy codec's records decode to."""
        return self._beside("decoded")

    @property
    def loops(self) -> Path:
        """The folder of what a store makes besides its artefact."""
        return self._beside("loops")

    @property
    def made(self) -> tuple[Path, ...]:
        """All that the trial may leave behind."""
        stored = (self.artefact, self.decoded, self.loops)
        return (*(stored if self.trial.reads is None else ()), self.rehearsal)

    def _beside(self, name: str) -> Path:
        return self.artefact.with_name(f"{self.artefact.name}.{name}")


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution of a task's operation on all of its images, or on a worker's share of them."""

    task: Task
    tick: Callable[[int, int], None]  # takes a worker's number and the images it has done; may raise to end the trial
    artefact: Path  # the container that is stored or read
    start: int  # the images of the source
    stop: int
    worker: int = 0
    workers: int = 1
    repeated: bool = False  # the same was done and compared before: only the clock counts
    watch: Stopwatch = field(default_factory=Stopwatch)
    memory: MemoryWatch = field(default_factory=MemoryWatch)
    epochs: list[EpochFacts] = field(default_factory=list)
    resident: list[float] = field(default_factory=list)  # share in the page cache before each timed epoch

    @property
    def trial(self) -> Trial:
        return self.task.trial

    @property
    def source(self) -> Source:
        return self.task.source

    @property
    def configuration(self) -> Configuration:
        return self.task.trial.configuration

    @property
    def count(self) -> int:
        return self.stop - self.start

    @property
    def backend(self) -> Backend:
        return self.configuration.make_backend()

    @property
    def codec(self) -> Codec:
        return self.configuration.make_codec()

    def measured_anew(self) -> Execution:
        return replace(self, watch=Stopwatch(), memory=MemoryWatch())

    def progress(self, done: int) -> None:
        """Report the number of images done, and sample the memory."""
        if not self.repeated:
            self.tick(self.worker, done)
            self.memory.sample()

    def check_cancelled(self) -> None:
        """Report that all images are done, which raises where the trial was cancelled."""
        self.tick(self.worker, self.count)

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
        count, batch = self.trial.count, self.task.batch
        order = np.random.default_rng(self.task.seed).permutation(count)
        for start in range(batch * self.worker, count, batch * self.workers):
            yield from self.source.parts(order[start : start + batch])

    def shards(self) -> list[tuple[int, int, Path]]:
        """First image, end and path of each container: as many as there are workers."""
        if self.workers == 1:
            return [(0, self.trial.count, self.artefact)]
        cuts = [self.trial.count * worker // self.workers for worker in range(self.workers + 1)]
        return [(*cut, self.artefact / f"{number:05}") for number, cut in enumerate(pairwise(cuts))]

    def check_digests(self, actual: NDArray[np.uint64], expected: NDArray[np.uint64], rows: NDArray[np.int64]) -> None:
        """Raise ContainerDamaged where digests differ; ``rows`` are those of the images compared."""
        if not np.array_equal(actual, expected):
            first = rows[int(np.flatnonzero(actual != expected)[0])] if len(actual) == len(expected) else rows[0]
            raise ContainerDamaged(f"image {first:,} of {self.configuration} is not what was stored.")

    def check_labels(self, labels: NDArray[np.int64]) -> None:
        """Raise ContainerDamaged where labels, or their number, differ from the source's."""
        if self.repeated:
            return
        if len(labels) != self.count:
            raise ContainerDamaged(f"{self.configuration} holds {len(labels):,} images of {self.count:,}.")
        if not np.array_equal(labels, self.source.labels(self.start, self.stop)):
            raise ContainerDamaged(f"{self.configuration} gave other labels than it was given.")


Procedure = Callable[[Execution], None]


def store(execution: Execution) -> None:
    """Encode and write batches, close, then sync; read back outside the clock."""
    codec, watch = execution.codec, execution.watch
    layout = Layout(execution.count, codec.name, execution.source.image_shape, execution.source.classes)
    backend, written, done = execution.backend, [], 0
    with watch.phase("open"):
        writer = backend.create(execution.artefact, layout)
    with writer:
        for records in execution.encoded(codec):
            with watch.phase("write"):
                writer.append(records)
            if not codec.lossless:
                written.append(record_digests(records))
            done += len(records)
            execution.progress(done)
        with watch.phase("close"):
            writer.close()
    finish_store(execution)
    if execution.repeated:
        return
    if codec.lossless:
        read(replace(execution.measured_anew(), tick=lambda worker, done: execution.check_cancelled()))
    else:
        _read_back_lossy(execution, codec, np.concatenate(written))


def finish_store(execution: Execution) -> None:
    """Take the memory's peak, then make the artefact durable, in a phase of its own."""
    execution.memory.settle()
    with execution.watch.phase(SYNC):
        sync(execution.artefact)


def _read_back_lossy(execution: Execution, codec: Codec, digests: NDArray[np.uint64]) -> None:
    """Compare stored records byte for byte, and keep digests of what they decode to for later reads."""
    decoded = []
    with execution.backend.open(execution.artefact) as reader:
        execution.check_labels(reader.labels)
        for low, high in execution.source.ranges(execution.start, execution.stop):
            part = slice(low - execution.start, high - execution.start)
            records = reader.read(part)
            execution.check_digests(record_digests(records), digests[part], np.arange(low, high))
            decoded.append(digests_of(codec.decode(records, reader.layout).pixels))
            execution.check_cancelled()
    execution.task.decoded.mkdir(exist_ok=True)
    np.save(execution.task.decoded / f"{execution.start}.npy", np.concatenate(decoded))


def read(execution: Execution) -> None:
    """Read everything in order, into one reused buffer."""
    codec, check, first = execution.codec, batch_check(execution), execution.start
    ranges = list(execution.source.ranges(first, execution.stop))
    buffer = _make_buffer(execution, codec, (np.arange(*rows) for rows in ranges))
    with _open_reader(execution, execution.artefact) as reader:
        with execution.watch.phase("read"):
            labels = reader.labels
        execution.check_labels(labels)
        for start, stop in ranges:
            key, out = slice(start - first, stop - first), _front(buffer, stop - start)
            check(_read_batch(execution, reader, codec, key, out), np.arange(start, stop))
    execution.memory.settle()


def shuffled(execution: Execution) -> None:
    """Read everything in batches of random rows, wherever they are."""
    codec, check = execution.codec, batch_check(execution)
    buffer = _make_buffer(execution, codec, execution.batches())
    with ExitStack() as stack:
        shards = [(first, stack.enter_context(_open_reader(execution, path))) for first, _, path in execution.shards()]
        for rows in execution.batches():
            check(_gather(execution, shards, codec, rows, _front(buffer, len(rows))), rows)
    execution.memory.settle()


OPERATIONS: dict[str, Procedure] = {
    "store": store,
    "read": read,
    "shuffled": shuffled,
    "store-one": store,
    "read-one": read,
}


def _gather(
    execution: Execution,
    shards: list[tuple[int, Reader]],
    codec: Codec,
    rows: NDArray[np.int64],
    buffer: NDArray[np.uint8] | None,
) -> Pixels:
    """The images of ``rows``, out of one container or several."""
    if len(shards) == 1:
        return _read_batch(execution, shards[0][1], codec, rows, buffer)
    array = buffer if buffer is not None and buffer.ndim > 1 else None
    mixed = [np.empty((0, 0, 0), np.uint8)] * len(rows)
    for first, reader in shards:
        with execution.watch.phase("read"):
            positions = np.flatnonzero((rows >= first) & (rows < first + len(reader)))
        key = rows[positions] - first
        images = _read_batch(execution, reader, codec, key, buffer if array is None else None)
        with execution.watch.phase("decode"):
            if array is not None:
                array[positions] = images
            else:
                for position, image in zip(positions.tolist(), images, strict=True):
                    mixed[position] = image
        if buffer is not None and array is None:
            buffer = buffer[execution.source.pixel_bytes(rows[positions]).sum() :]
    return mixed if array is None else array


def _read_batch(
    execution: Execution,
    reader: Reader,
    codec: Codec,
    key: slice | NDArray[np.int64],
    buffer: NDArray[np.uint8] | None,
) -> Pixels:
    """Read and decode one batch, into ``buffer`` where there is one."""
    flat = buffer.reshape(len(buffer), -1) if buffer is not None and reader.layout.record_bytes else None
    with execution.watch.phase("read"):
        records = reader.read(key, flat)
    with execution.watch.phase("decode"):
        return codec.decode(records, reader.layout, buffer).pixels


@contextmanager
def _open_reader(execution: Execution, path: Path) -> Iterator[Reader]:
    backend = execution.backend
    with execution.watch.phase("open"):
        reader = backend.open(path)
    with reader:
        yield reader
        with execution.watch.phase("close"):
            reader.close()


def batch_check(
    execution: Execution,
    digests: Callable[[Any], NDArray[np.uint64]] = digests_of,
    expected: NDArray[np.uint64] | None = None,
) -> Callable[[Any, NDArray[np.int64]], None]:
    """A function that counts the images of a batch and compares them with the source; does nothing in a loop.

    Where ``digests`` are not those of pixels, it says what all images are ``expected`` to have.
    """
    if execution.repeated:
        return lambda images, rows: None
    whole = execution.trial.operation in ("shuffled", "epoch")  # each worker reads from all shards
    first, stop = (0, execution.trial.count) if whole else (execution.start, execution.stop)
    if expected is not None:
        pass
    elif execution.codec.lossless:
        expected = execution.source.digests(first, stop)
    else:  # of what the codec made of the source
        starts = sorted(int(path.stem) for path in execution.task.decoded.iterdir()) if whole else [first]
        expected = np.concatenate([np.load(execution.task.decoded / f"{start}.npy") for start in starts])
    done = 0

    def check(images: Any, rows: NDArray[np.int64]) -> None:
        nonlocal done
        done += len(rows)
        execution.progress(done)
        execution.check_digests(digests(images), expected[rows - first], rows)

    return check


def _make_buffer(execution: Execution, codec: Codec, batches: Iterable[NDArray[np.int64]]) -> NDArray[np.uint8] | None:
    """Touched memory for the images of any of ``batches``: rows where they have one size, else bytes, if of use.

    A worker has no batches where there are fewer than workers.
    """
    shape = execution.source.image_shape
    if shape is not None:
        return np.ones((max(map(len, batches), default=0), *shape), np.uint8)
    if codec.fills_room:
        sizes = (int(execution.source.pixel_bytes(rows).sum()) for rows in batches)
        return np.ones(max(sizes, default=0), np.uint8)
    return None


def _front(buffer: NDArray[np.uint8] | None, count: int) -> NDArray[np.uint8] | None:
    """The part of ``buffer`` that a batch of ``count`` images needs."""
    return buffer if buffer is None or buffer.ndim == 1 else buffer[:count]
