"""The operations as this library does them: store, read in order, read shuffled, read labels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from backends.bench.disk import sync
from backends.bench.memory import MemoryWatch
from backends.bench.source import digests_of, record_digests
from backends.bench.stopwatch import UNTIMED, Stopwatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from backends.bench.execution import Execution


def decoded_digests(artefact: Path) -> Path:
    """Where the digests of what a lossy codec's records decode to are kept, a ``.npy`` file."""
    return artefact.with_name(artefact.name + ".npy")


def store(execution: Execution) -> None:
    """Encode and write batches, close, then sync; read back outside the clock."""
    codec, watch = execution.codec(), execution.watch
    written: list[NDArray[np.uint64]] = []
    done = 0
    with watch.phase("open"):
        writer = execution.backend().create(execution.artefact, execution.layout)
    with writer:
        for records in execution.encoded(codec):
            with watch.phase("write"):
                writer.append(records)
            if not codec.lossless:
                written.append(record_digests(records))
            done += len(records)
            execution.tick(done)
            execution.memory.sample()
        with watch.phase("close"):
            writer.close()
    execution.memory.settle()
    with watch.phase(UNTIMED):
        sync(execution.artefact)
    if not execution.again:
        _read_back(execution, written)


def read(execution: Execution) -> None:
    """Read everything in order, into one reused buffer where images have one size."""
    ranges = list(execution.source.ranges(execution.count))
    largest = max(stop - start for start, stop in ranges)
    _read_batches(execution, largest, (np.arange(start, stop) for start, stop in ranges), in_order=True)


def shuffled(execution: Execution) -> None:
    """Read everything in batches of random rows."""
    _read_batches(execution, execution.batch, execution.batches())


def labels(execution: Execution) -> None:
    """Open, read all labels, close."""
    watch = execution.watch
    with watch.phase("open"):
        reader = execution.backend().open(execution.artefact)
    with watch.phase("read"):
        found = reader.labels
    with watch.phase("close"):
        reader.close()
    execution.memory.settle()
    execution.compare_labels(found)


def _read_batches(
    execution: Execution, largest: int, batches: Iterable[NDArray[np.int64]], *, in_order: bool = False
) -> None:
    """Read and decode each batch of rows, at most ``largest``; compare it with the source outside the clock."""
    codec, watch = execution.codec(), execution.watch
    pixels = _buffer(execution, min(largest, execution.count))
    expected = expected_digests(execution)
    done = 0
    with watch.phase("open"):
        reader = execution.backend().open(execution.artefact)
    with reader:
        with watch.phase("read"):
            found = reader.labels
        execution.compare_labels(found)
        flat = pixels.reshape(len(pixels), -1) if pixels is not None and reader.layout.record_bytes else None
        for rows in batches:
            size = len(rows)
            key = slice(int(rows[0]), int(rows[-1]) + 1) if in_order else rows
            with watch.phase("read"):
                records = reader.read(key, flat[:size] if flat is not None else None)
            with watch.phase("decode"):
                images = codec.decode(records, reader.layout, pixels[:size] if pixels is not None else None)
            done += size
            execution.tick(done)
            execution.memory.sample()
            execution.compare(digests_of(images.pixels), expected[rows], rows)
        with watch.phase("close"):
            reader.close()
    execution.memory.settle()


def expected_digests(execution: Execution) -> NDArray[np.uint64]:
    """Digests of what a read must give, ``(count,)`` uint64: of the source, or of what a lossy codec made of it."""
    if execution.codec().lossless:
        return execution.source.digests(execution.count)
    digests: NDArray[np.uint64] = np.load(decoded_digests(execution.artefact))
    return digests


def _buffer(execution: Execution, count: int) -> NDArray[np.uint8] | None:
    """Touched room for a batch of images of one size; None where their sizes differ."""
    shape = execution.source.image_shape
    return np.ones((count, *shape), np.uint8) if shape is not None else None


def _read_back(execution: Execution, written: list[NDArray[np.uint64]]) -> None:
    """Compare what was stored; what a lossy codec made is compared byte for byte, and its pixels are kept for reads."""
    if not written:
        read(replace(execution, watch=Stopwatch(), memory=MemoryWatch(), tick=lambda done: None))
        return
    decoded, digests, codec = [], np.concatenate(written), execution.codec()
    with execution.backend().open(execution.artefact) as reader:
        execution.compare_labels(reader.labels)
        for start, stop in execution.source.ranges(execution.count):
            records = reader.read(slice(start, stop))
            execution.compare(record_digests(records), digests[start:stop], np.arange(start, stop))
            decoded.append(digests_of(codec.decode(records, reader.layout).pixels))
    np.save(decoded_digests(execution.artefact), np.concatenate(decoded))


OURS: dict[str, Callable[[Execution], None]] = {
    "store": store,
    "read": read,
    "shuffled": shuffled,
    "labels": labels,
    "store-one": store,
    "read-one": read,
}
