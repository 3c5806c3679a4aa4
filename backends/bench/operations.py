"""The operations as this library does them: store, read in order, read shuffled."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from backends.bench.disk import sync
from backends.bench.memory import MemoryWatch
from backends.bench.source import digests_of, record_digests
from backends.bench.stopwatch import UNTIMED, Stopwatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from backends.base import Codec, Reader
    from backends.bench.execution import Execution, Pixels


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
