"""Reference configurations that others are compared with: the article's code, and bare bytes on this machine."""

from __future__ import annotations

import mmap
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from backends.bench import article
from backends.bench.configuration import SOURCE
from backends.bench.machine import MEMORY_SHARE, usable_memory
from backends.bench.operations import Execution, Procedure, batch_check, finish_store
from backends.bench.staging import RECORD_DIGESTS, digests_of, record_digests
from backends.errors import ContainerDamaged
from backends.images import Records, offsets_of


def _article_store(execution: Execution) -> None:
    """Store all images at once, out of memory, as the article does."""
    images = np.concatenate([np.array(batch.pixels) for batch in execution.source.images(0, execution.count)])
    labels = execution.source.labels(0, execution.count)
    execution.artefact.mkdir()
    with execution.watch.phase("write"):
        article.STORE[execution.configuration.backend](execution.artefact, images, labels)
    execution.progress(execution.count)
    finish_store(execution)
    if not execution.repeated:
        _compare_article(execution, *article.READ[execution.configuration.backend](execution.artefact, execution.count))


def _article_read(execution: Execution) -> None:
    """Read all images into memory, as the article does."""
    with execution.watch.phase("read"):
        images, labels = article.READ[execution.configuration.backend](execution.artefact, execution.count)
    execution.progress(execution.count)
    execution.memory.settle()
    _compare_article(execution, images, labels)


ARTICLE: dict[str, Procedure] = {
    "store": _article_store,
    "store-one": _article_store,
    "read": _article_read,
    "read-one": _article_read,
}


def _compare_article(execution: Execution, images: article.Pixels, labels: article.Labels) -> None:
    if execution.repeated:
        return
    execution.check_labels(np.asarray(labels, np.int64))
    digests = digests_of(images)
    execution.check_digests(digests, execution.source.digests(0, execution.count), np.arange(execution.count))


def _limit_store(execution: Execution) -> None:
    """Write the same bytes to one file, batch by batch."""
    watch, done = execution.watch, 0
    with watch.phase("open"):
        file = execution.artefact.open("xb")
    for records in execution.encoded(execution.codec):
        data = records.data[records.offsets[0] : records.offsets[-1]]
        with watch.phase("write"):
            file.write(data.data)
        done += len(records)
        execution.progress(done)
    with watch.phase("close"):
        file.close()
    finish_store(execution)


def _limit_read(execution: Execution) -> None:
    """Read the same bytes into one touched buffer, batch by batch."""
    with execution.watch.phase("open"):
        file = execution.artefact.open("rb", buffering=0)

    def fill(out: NDArray[np.uint8], start: int) -> None:
        if file.readinto(out.data) != len(out):
            raise ContainerDamaged(f"{execution.artefact} ends early.")

    _fill_batches(execution, "read", fill)
    with execution.watch.phase("close"):
        file.close()
    _finish_read(execution)


def _limit_copy(execution: Execution) -> None:
    """Copy the same bytes from memory into one touched buffer, batch by batch."""
    data = _load_artefact(execution)

    def fill(out: NDArray[np.uint8], start: int) -> None:
        out[:] = data[start : start + len(out)]

    _fill_batches(execution, "copy", fill)
    _finish_read(execution)


def _fill_batches(execution: Execution, phase: str, fill: Callable[[NDArray[np.uint8], int], None]) -> None:
    """Time ``fill``, which takes a buffer and where its bytes begin in the artefact, for each batch in order.

    The buffer begins with a page, as files do: some processors copy at a third of their speed where the sides differ.
    """
    check, source = _bytes_check(execution), execution.source
    ends = source.record_ends(execution.count, execution.configuration.codec)
    ranges = list(source.ranges(0, execution.count))
    buffer = np.ones(max(int(ends[stop] - ends[start]) for start, stop in ranges) + mmap.PAGESIZE, np.uint8)
    buffer = buffer[-buffer.ctypes.data % mmap.PAGESIZE :]
    for start, stop in ranges:
        first, out = int(ends[start]), buffer[: int(ends[stop] - ends[start])]
        with execution.watch.phase(phase):
            fill(out, first)
        check(out, np.arange(start, stop))


def _limit_shuffled(execution: Execution) -> None:
    """Gather the same batches of random records from memory into one touched buffer."""
    data, ends = _load_artefact(execution), execution.source.record_ends(execution.count, execution.configuration.codec)
    sizes, check = np.diff(ends), _bytes_check(execution)
    one_size = len(set(sizes.tolist())) == 1
    by_row = data.reshape(len(sizes), -1) if one_size else data
    most = max(int(sizes[rows].sum()) for rows in execution.batches())
    buffer = np.ones((most // int(sizes[0]), int(sizes[0])) if one_size else most, np.uint8)
    for rows in execution.batches():
        if one_size:
            out = buffer[: len(rows)]
            with execution.watch.phase("copy"):
                by_row.take(rows, axis=0, out=out, mode="clip")
        else:
            out = buffer[: int(sizes[rows].sum())]
            spans = list(zip(ends[rows].tolist(), ends[rows + 1].tolist(), strict=True))
            with execution.watch.phase("copy"):
                np.concatenate([data[start:stop] for start, stop in spans], out=out)
        check(out, rows)
    _finish_read(execution)


LIMITS: dict[str, Procedure] = {
    "store": _limit_store,
    "read": _limit_read,
    "shuffled": _limit_shuffled,
    "copy": _limit_copy,
}


def _finish_read(execution: Execution) -> None:
    execution.progress(execution.count)
    execution.memory.settle()


def _bytes_check(execution: Execution) -> Callable[[NDArray[np.uint8], NDArray[np.int64]], None]:
    """A check of records that lie end to end; as every reader's check, it leaves the processor's caches cold."""
    source, codec, shape = execution.source, execution.configuration.codec, execution.source.image_shape
    sizes = np.diff(source.record_ends(execution.count, codec))
    if codec == SOURCE:
        check = batch_check(execution, record_digests, source.digests(0, execution.count, RECORD_DIGESTS))
        return lambda data, rows: check(Records(data, offsets_of(sizes[rows]), rows), rows)
    check = batch_check(execution)
    if shape is not None:
        return lambda data, rows: check(data.reshape(-1, *shape), rows)

    def compare(data: NDArray[np.uint8], rows: NDArray[np.int64]) -> None:
        parts = zip(np.split(data, np.cumsum(sizes[rows])[:-1]), source.shapes(rows).tolist(), strict=True)
        check([part.reshape(shape) for part, shape in parts], rows)

    return compare


def _load_artefact(execution: Execution) -> NDArray[np.uint8]:
    """The bytes of the artefact; what would take too much memory is mapped and touched instead."""
    if execution.artefact.stat().st_size < usable_memory() // MEMORY_SHARE:
        data: NDArray[np.uint8] = np.fromfile(execution.artefact, np.uint8)
        return data
    data = np.asarray(np.memmap(execution.artefact, np.uint8, "r"))  # slices of a memmap itself are slow
    data[:: mmap.PAGESIZE].max()
    return data
