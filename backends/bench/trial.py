"""One trial: exactly one operation, timed by phases, its result compared with the source outside the clock."""

from __future__ import annotations

import mmap
import struct
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from backends.bench.configuration import Configuration
from backends.bench.disk import sync, usage_of
from backends.bench.measurement import Measurement, Trial
from backends.bench.memory import MemoryWatch
from backends.bench.staging import BATCH, Source, digests_of
from backends.bench.stopwatch import Stopwatch
from backends.errors import ContainerDamaged
from backends.images import Layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backends.base import Backend, Codec
    from backends.images import Images

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


def _store(task: Task, backend: Backend, codec: Codec, watch: Stopwatch, memory: MemoryWatch, tick: Tick) -> None:
    source, count = task.source, task.trial.count
    layout = Layout(count, codec.name, source.image_shape, source.classes)
    with watch.phase("open"):
        writer = backend.create(task.artefact, layout)
    done = 0
    with writer:
        for images in source.batches(count):
            with watch.phase("encode"):
                records = codec.encode(images)
            with watch.phase("write"):
                writer.append(records)
            done += len(images)
            tick(done)
            memory.sample()
        with watch.phase("close"):
            writer.close()
    memory.sample()
    memory.settle()
    with watch.phase("sync"):
        sync(task.artefact)
    _scan(task, backend, codec, Stopwatch(), MemoryWatch(), lambda done: None)


def _read(task: Task, backend: Backend, codec: Codec, watch: Stopwatch, memory: MemoryWatch, tick: Tick) -> None:
    _scan(task, backend, codec, watch, memory, tick)
    memory.settle()


def _scan(task: Task, backend: Backend, codec: Codec, watch: Stopwatch, memory: MemoryWatch, tick: Tick) -> None:
    """Read everything in order into one reused buffer; compare each batch with the source outside the clock."""
    source, count = task.source, task.trial.count
    digests, expected = source.digests(count), source.labels(count)
    pixels = np.zeros((min(BATCH, count), *source.image_shape), np.uint8)
    rows = pixels.reshape(len(pixels), -1)
    with watch.phase("open"):
        reader = backend.open(task.artefact)
    with reader:
        if len(reader) != count:
            raise ContainerDamaged(f"{task.trial.configuration} holds {len(reader):,} images of {count:,}.")
        with watch.phase("read"):
            labels = reader.labels
        if not np.array_equal(labels, expected):
            raise ContainerDamaged(f"{task.trial.configuration} gave other labels than it was given.")
        plain = reader.layout.record_bytes is not None
        for start in range(0, count, BATCH):
            stop = min(start + BATCH, count)
            with watch.phase("read"):
                records = reader.read(slice(start, stop), rows[: stop - start] if plain else None)
            with watch.phase("decode"):
                images = codec.decode(records, reader.layout, pixels[: stop - start])
            tick(stop)
            memory.sample()
            _compare(task.trial, start, images, digests[start:stop])
        with watch.phase("close"):
            reader.close()


def _compare(trial: Trial, start: int, images: Images, digests: np.ndarray) -> None:
    found = digests_of(np.asarray(images.pixels))
    if not np.array_equal(found, digests):
        first = start + int(np.flatnonzero(found != digests)[0])
        raise ContainerDamaged(f"image {first:,} of {trial.configuration} is not what was stored.")
