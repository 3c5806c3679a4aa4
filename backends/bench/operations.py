"""What an operation needs while it is measured, and the comparison of what it read with the source."""

from __future__ import annotations

import os
import pickle
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from backends.bench.configuration import SOURCE, Configuration
from backends.bench.disk import sync
from backends.bench.measurement import Trial
from backends.bench.meters import UNTIMED, MemoryWatch, Stopwatch
from backends.bench.staging import Source, digests_of, record_digests
from backends.errors import ContainerDamaged
from backends.images import Layout
from backends.registry import make_backend, make_codec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import NoReturn

    from numpy.typing import NDArray

    from backends.base import Backend, Codec, Reader
    from backends.images import Records

    Pixels = NDArray[np.uint8] | Sequence[NDArray[np.uint8]]
    Pipe = tuple[int, int]
    Perform = Callable[["Execution"], None]


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


def store(execution: Execution) -> None:
    """Encode and write batches, close, then sync; read back outside the clock."""
    backend, codec, watch = execution.backend(), execution.codec(), execution.watch
    layout = execution.layout
    written: list[NDArray[np.uint64]] = []
    done = 0
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
    execution.memory.settle()
    with watch.phase(UNTIMED):
        sync(execution.artefact)
    if not execution.again:
        _read_back(execution, written)


def read(execution: Execution) -> None:
    """Read everything in order, into one reused buffer."""
    codec, check, first = execution.codec(), checked(execution), execution.start
    ranges = list(execution.source.ranges(first, execution.stop))
    room = _room(execution, codec, (np.arange(*one) for one in ranges))
    with _opened(execution, execution.artefact) as reader:
        with execution.watch.phase("read"):
            found = reader.labels
        execution.compare_labels(found)
        for start, stop in ranges:
            here = slice(start - first, stop - first)
            check(_read_batch(execution, reader, codec, here, _front(room, stop - start)), np.arange(start, stop))
    execution.memory.settle()


def shuffled(execution: Execution) -> None:
    """Read everything in batches of random rows, wherever they are."""
    codec, check = execution.codec(), checked(execution)
    room = _room(execution, codec, execution.batches())
    with ExitStack() as stack:
        shards = [(first, stack.enter_context(_opened(execution, path))) for first, _, path in execution.shards()]
        for rows in execution.batches():
            check(_gather(execution, shards, codec, rows, _front(room, len(rows))), rows)
    execution.memory.settle()


def _gather(
    execution: Execution,
    shards: list[tuple[int, Reader]],
    codec: Codec,
    rows: NDArray[np.int64],
    room: NDArray[np.uint8] | None,
) -> Pixels:
    """The images of ``rows``, out of one container or several."""
    if len(shards) == 1:
        return _read_batch(execution, shards[0][1], codec, rows, room)
    one_size = room is not None and room.ndim > 1
    found = room if one_size and room is not None else [np.empty((0, 0, 0), np.uint8)] * len(rows)
    for first, reader in shards:
        with execution.watch.phase("read"):
            here = np.flatnonzero((rows >= first) & (rows < first + len(reader)))
        images = _read_batch(execution, reader, codec, rows[here] - first, None if one_size else room)
        with execution.watch.phase("decode"):
            if isinstance(found, np.ndarray):
                found[here] = images
            else:
                for place, image in zip(here.tolist(), images, strict=True):
                    found[place] = image
        if room is not None and not one_size:
            room = room[execution.source.pixel_bytes(rows[here]).sum() :]
    return found


def _read_batch(
    execution: Execution,
    reader: Reader,
    codec: Codec,
    key: slice | NDArray[np.int64],
    room: NDArray[np.uint8] | None,
) -> Pixels:
    """Read and decode one batch, into ``room`` where there is any."""
    flat = room.reshape(len(room), -1) if room is not None and reader.layout.record_bytes else None
    with execution.watch.phase("read"):
        records = reader.read(key, flat)
    with execution.watch.phase("decode"):
        return codec.decode(records, reader.layout, room).pixels


@contextmanager
def _opened(execution: Execution, path: Path) -> Iterator[Reader]:
    backend = execution.backend()
    with execution.watch.phase("open"):
        reader = backend.open(path)
    with reader:
        yield reader
        with execution.watch.phase("close"):
            reader.close()


def checked(execution: Execution) -> Callable[[Pixels, NDArray[np.int64]], None]:
    """What looks at each batch that was read, the images of ``rows``: it counts and compares, unless this is a loop."""
    if execution.again:
        return lambda images, rows: None
    first = 0 if execution.trial.operation == "shuffled" else execution.start
    expected, done = expected_digests(execution), 0

    def check(images: Pixels, rows: NDArray[np.int64]) -> None:
        nonlocal done
        done += len(rows)
        execution.progress(done)
        execution.compare(digests_of(images), expected[rows - first], rows)

    return check


def expected_digests(execution: Execution) -> NDArray[np.uint64]:
    """Digests of what a read must give, ``(count,)`` uint64: of the source, or of what a lossy codec made of it."""
    whole = execution.trial.operation == "shuffled"
    if execution.codec().lossless:
        start, stop = (0, execution.trial.count) if whole else (execution.start, execution.stop)
        return execution.source.digests(start, stop)
    starts = [start for start, _, _ in execution.shards()] if whole else [execution.start]
    return np.concatenate([np.load(execution.decoded / f"{start}.npy") for start in starts])


def _room(execution: Execution, codec: Codec, batches: Iterable[NDArray[np.int64]]) -> NDArray[np.uint8] | None:
    """Touched memory for the images of any of ``batches``: rows where they have one size, else bytes, if of use."""
    shape = execution.source.image_shape
    if shape is not None:
        return np.ones((max(map(len, batches)), *shape), np.uint8)
    if codec.fills_room:
        return np.ones(max(int(execution.source.pixel_bytes(rows).sum()) for rows in batches), np.uint8)
    return None


def _front(room: NDArray[np.uint8] | None, count: int) -> NDArray[np.uint8] | None:
    """What ``room`` a batch of ``count`` images needs."""
    return room if room is None or room.ndim == 1 else room[:count]


def _read_back(execution: Execution, written: list[NDArray[np.uint64]]) -> None:
    """Compare what was stored; what a lossy codec made is compared byte for byte, and its pixels are kept for reads."""
    if not written:
        again = replace(execution, watch=Stopwatch(), memory=MemoryWatch(), tick=lambda worker, done: execution.check())
        read(again)
        return
    decoded, digests, codec = [], np.concatenate(written), execution.codec()
    with execution.backend().open(execution.artefact) as reader:
        execution.compare_labels(reader.labels)
        for low, high in execution.source.ranges(execution.start, execution.stop):
            start, stop = low - execution.start, high - execution.start
            records = reader.read(slice(start, stop))
            execution.compare(record_digests(records), digests[start:stop], np.arange(low, high))
            decoded.append(digests_of(codec.decode(records, reader.layout).pixels))
            execution.check()
    execution.decoded.mkdir(exist_ok=True)
    np.save(execution.decoded / f"{execution.start}.npy", np.concatenate(decoded))


BY_NAME: dict[str, Callable[[Execution], None]] = {
    "store": store,
    "read": read,
    "shuffled": shuffled,
    "store-one": store,
    "read-one": read,
}


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker found; ``error`` where it failed."""

    watch: Stopwatch
    memory: MemoryWatch
    remarks: list[str]
    error: Exception | None


def perform_shared(execution: Execution, perform: Perform) -> None:
    """Do an operation with several processes: each stores and reads a shard of its own, or takes its turn of batches.

    The time is that of the slowest worker's phases, during which fetching from the source does not count, as for one;
    processor time, memory and bytes moved are those of all workers together.

    Raises
    ------
    Exception
        Whatever the first worker that failed raised.
    """
    if execution.trial.reads is None:
        execution.artefact.mkdir()
    whole = execution.artefact if execution.trial.operation == "shuffled" else None
    parts = [
        replace(execution, worker=worker, start=start, stop=stop, artefact=whole or path)
        for worker, (start, stop, path) in enumerate(execution.shards())
    ]
    begin, life = os.pipe(), os.pipe()  # whoever reads from one waits until its other end is closed everywhere
    try:
        workers = [_fork(part, perform, begin, life) for part in parts]
        os.close(begin[1])
        _add(execution, [_report(*worker) for worker in workers])
    finally:
        for descriptor in (begin[0], *life):
            os.close(descriptor)


def _fork(part: Execution, perform: Perform, begin: Pipe, life: Pipe) -> tuple[int, int]:
    """Start a worker; its process, and the pipe that its report comes through."""
    receive, send = os.pipe()
    process = os.fork()
    if not process:
        for descriptor in (begin[1], life[1], receive):
            os.close(descriptor)
        _work(part, perform, begin[0], life[0], send)
    os.close(send)
    return process, receive


def _work(part: Execution, perform: Perform, begin: int, life: int, send: int) -> NoReturn:
    """The body of a worker, which begins with all others and ends with the process that started it."""
    try:
        os.read(begin, 1)
        threading.Thread(target=_end_with_parent, args=(life,), daemon=True).start()
        one, error = replace(part, watch=Stopwatch(), memory=MemoryWatch()), None
        try:
            perform(one)
        except Exception as raised:  # the process that started this one raises it again
            error = raised
        with open(send, "wb") as file:
            pickle.dump(Report(one.watch, one.memory, one.remarks, error), file)
    finally:
        os._exit(0)


def _end_with_parent(life: int) -> None:
    os.read(life, 1)
    os._exit(1)


def _report(process: int, receive: int) -> Report:
    with open(receive, "rb") as file:
        content = file.read()
    _, status = os.waitpid(process, 0)
    if not content:
        raise ChildProcessError(f"a worker died without a word (status {status})")
    report: Report = pickle.loads(content)
    return report


def _add(execution: Execution, reports: list[Report]) -> None:
    """Put what all workers found into what the trial found."""
    for report in reports:
        if report.error is not None:
            raise report.error
    slowest = max((report.watch for report in reports), key=lambda watch: watch.total)
    watch, memory = execution.watch, execution.memory
    for phase, seconds in slowest.seconds.items():
        watch.seconds[phase] = watch.seconds.get(phase, 0.0) + seconds
        used = sum(report.watch.cpu_seconds.get(phase, 0.0) for report in reports)
        watch.cpu_seconds[phase] = watch.cpu_seconds.get(phase, 0.0) + used
    watch.bytes_read = _sum(watch.bytes_read, (report.watch.bytes_read for report in reports))
    watch.bytes_written = _sum(watch.bytes_written, (report.watch.bytes_written for report in reports))
    memory.peak_rss = max(memory.peak_rss or 0, _sum(None, (report.memory.peak_rss for report in reports)) or 0) or None
    anonymous = _sum(None, (report.memory.peak_anonymous for report in reports))
    memory.peak_anonymous = max(memory.peak_anonymous or 0, anonymous or 0) or None
    execution.remarks.extend(dict.fromkeys(remark for report in reports for remark in report.remarks))


def _sum(before: int | None, values: Iterable[int | None]) -> int | None:
    known = [value for value in (before, *values) if value is not None]
    return sum(known) if known else None
