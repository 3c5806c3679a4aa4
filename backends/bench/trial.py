"""One trial: exactly one operation, timed by phases, its result compared with the source outside the clock."""

from __future__ import annotations

import mmap
import struct
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from backends.bench.configuration import SOURCE, Configuration
from backends.bench.disk import sync, usage_of
from backends.bench.measurement import Measurement, Trial
from backends.bench.memory import MemoryWatch
from backends.bench.source import Source, digests_of, record_digests
from backends.bench.stopwatch import Stopwatch
from backends.errors import ContainerDamaged
from backends.images import Layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from backends.base import Backend, Codec, Reader
    from backends.images import Records

    Tick = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Task:
    """A trial with what its process needs to execute it.

    Attributes
    ----------
    artefact
        The container that a store makes and a read reads.
    counter
        A file of eight bytes that holds the number of images done so far.
    """

    trial: Trial
    source: Source
    artefact: Path
    counter: Path

    @property
    def decoded(self) -> Path:
        """Digests of what the artefact of a lossy codec decodes to, a ``.npy`` file that its store makes."""
        return self.artefact.with_name(self.artefact.name + ".npy")

    @property
    def rehearsal(self) -> Path:
        """A container of one image that is stored and read before the clock starts."""
        return self.artefact.with_name(f"{self.artefact.name}.{self.trial.operation}")

    @property
    def made(self) -> tuple[Path, ...]:
        """All that the trial may leave behind."""
        stored = (self.artefact, self.decoded) if self.trial.reads is None else ()
        return (*stored, self.rehearsal)


def execute(task: Task) -> Measurement:
    """Do the trial.

    Raises
    ------
    Exception
        Whatever the backend, the codec or the operating system raises; ContainerDamaged where what is read
        differs from the source.
    """
    backend, codec = Configuration.parse(task.trial.configuration).make()
    operation = _store if task.trial.operation == "store" else _read
    _rehearse(task, backend, codec)
    watch, memory = Stopwatch(), MemoryWatch()
    with _counter(task.counter) as tick:
        operation(task, backend, codec, watch, memory, tick)
    usage = usage_of(task.artefact)
    seconds = sum(took for phase, took in watch.seconds.items() if phase != "sync")
    return replace(
        blank(task.trial, "ok"),
        seconds=seconds,
        seconds_durable=seconds + watch.seconds.get("sync", 0.0),
        phases=watch.seconds,
        cpu_seconds=sum(used for phase, used in watch.cpu_seconds.items() if phase != "sync"),
        peak_rss=memory.peak_rss,
        peak_anonymous=memory.peak_anonymous,
        bytes_apparent=usage.bytes_apparent,
        bytes_allocated=usage.bytes_allocated,
        files=usage.files,
        verified=True,
    )


def blank(trial: Trial, outcome: str, message: str = "") -> Measurement:
    """The measurement of a trial with nothing measured: what failed or was skipped, and why."""
    configuration = Configuration.parse(trial.configuration)
    return Measurement(
        trial=trial.index,
        configuration=trial.configuration,
        backend=configuration.backend,
        codec=configuration.codec,
        operation=trial.operation,
        count=trial.count,
        cache="warm",
        repeat=trial.repeat,
        outcome=outcome,
        shown=trial.shown,
        message=message,
    )


@contextmanager
def _counter(path: Path) -> Iterator[Tick]:
    """A function that makes the number of images done visible to the job, at the cost of one store to memory."""
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 8) as shared:

        def tick(done: int) -> None:
            struct.pack_into("=q", shared, 0, done)

        tick(0)
        yield tick


def _rehearse(task: Task, backend: Backend, codec: Codec) -> None:
    """Store and read one image, so that what libraries load on first use is in no figure."""
    layout = Layout(1, codec.name, task.source.image_shape, task.source.classes)
    with backend.create(task.rehearsal, layout) as writer:
        for records in _encoded(task.source, 1, codec, Stopwatch()):
            writer.append(records)
    with backend.open(task.rehearsal) as reader:
        codec.decode(reader.read(slice(0, 1)), reader.layout)


def _store(task: Task, backend: Backend, codec: Codec, watch: Stopwatch, memory: MemoryWatch, tick: Tick) -> None:
    source, count = task.source, task.trial.count
    layout = Layout(count, codec.name, source.image_shape, source.classes)
    written: list[NDArray[np.uint64]] = []
    done = 0
    with watch.phase("open"):
        writer = backend.create(task.artefact, layout)
    with writer:
        for records in _encoded(source, count, codec, watch):
            with watch.phase("write"):
                writer.append(records)
            if not codec.lossless:
                written.append(record_digests(records))
            done += len(records)
            tick(done)
            memory.sample()
        with watch.phase("close"):
            writer.close()
    memory.sample()
    memory.settle()
    with watch.phase("sync"):
        sync(task.artefact)
    if codec.lossless:
        _scan(task, backend, codec, Stopwatch(), MemoryWatch(), source.digests(count))
    else:
        _verify_records(task, backend, codec, np.concatenate(written))


def _encoded(source: Source, count: int, codec: Codec, watch: Stopwatch) -> Iterator[Records]:
    """The records to store: the files' own bytes, or what the codec makes of the pixels."""
    if codec.name == SOURCE:
        yield from source.records(count)
        return
    for images in source.images(count):
        with watch.phase("encode"):
            records = codec.encode(images)
        yield records


def _read(task: Task, backend: Backend, codec: Codec, watch: Stopwatch, memory: MemoryWatch, tick: Tick) -> None:
    digests = task.source.digests(task.trial.count) if codec.lossless else np.load(task.decoded)
    _scan(task, backend, codec, watch, memory, digests, tick)
    memory.settle()


def _scan(
    task: Task,
    backend: Backend,
    codec: Codec,
    watch: Stopwatch,
    memory: MemoryWatch,
    digests: NDArray[np.uint64],
    tick: Tick = lambda done: None,
) -> None:
    """Read everything in order into one reused buffer; compare each batch with its digests outside the clock."""
    source, count = task.source, task.trial.count
    pixels = _buffer(source, count)
    with watch.phase("open"):
        reader = backend.open(task.artefact)
    with reader:
        _check_labels(task, reader, watch)
        rows = pixels.reshape(len(pixels), -1) if pixels is not None and reader.layout.record_bytes else None
        for start, stop in source.ranges(count):
            with watch.phase("read"):
                records = reader.read(slice(start, stop), rows[: stop - start] if rows is not None else None)
            with watch.phase("decode"):
                images = codec.decode(records, reader.layout, pixels[: stop - start] if pixels is not None else None)
            tick(stop)
            memory.sample()
            _compare(task.trial, start, digests_of(images.pixels), digests[start:stop])
        with watch.phase("close"):
            reader.close()


def _buffer(source: Source, count: int) -> NDArray[np.uint8] | None:
    """Room for the largest batch of images of one size; None where their sizes differ."""
    if source.image_shape is None:
        return None
    return np.zeros((max(stop - start for start, stop in source.ranges(count)), *source.image_shape), np.uint8)


def _check_labels(task: Task, reader: Reader, watch: Stopwatch) -> None:
    name, count = task.trial.configuration, task.trial.count
    if len(reader) != count:
        raise ContainerDamaged(f"{name} holds {len(reader):,} images of {count:,}.")
    with watch.phase("read"):
        labels = reader.labels
    if not np.array_equal(labels, task.source.labels(count)):
        raise ContainerDamaged(f"{name} gave other labels than it was given.")


def _verify_records(task: Task, backend: Backend, codec: Codec, written: NDArray[np.uint64]) -> None:
    """What a lossy codec made is compared byte for byte; what it decodes to is kept for the reads to compare."""
    decoded = []
    with backend.open(task.artefact) as reader:
        _check_labels(task, reader, Stopwatch())
        for start, stop in task.source.ranges(task.trial.count):
            records = reader.read(slice(start, stop))
            _compare(task.trial, start, record_digests(records), written[start:stop])
            decoded.append(digests_of(codec.decode(records, reader.layout).pixels))
    np.save(task.decoded, np.concatenate(decoded))


def _compare(trial: Trial, start: int, found: NDArray[np.uint64], expected: NDArray[np.uint64]) -> None:
    if not np.array_equal(found, expected):
        first = start + int(np.flatnonzero(found != expected)[0])
        raise ContainerDamaged(f"image {first:,} of {trial.configuration} is not what was stored.")
