"""References that operations are compared with: the article's code, and the limits of the machine."""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING

import numpy as np

from backends.bench import article
from backends.bench.configuration import SOURCE
from backends.bench.disk import sync
from backends.bench.machine import usable_memory
from backends.bench.meters import UNTIMED
from backends.bench.operations import checked
from backends.bench.staging import digests_of
from backends.containers.fileio import read_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from backends.bench.operations import Execution, Pixels


MEMORY_SHARE = 4
"""An array takes at most this part (a quarter) of the memory there is."""


def _article_store(execution: Execution) -> None:
    """Store all images at once, out of memory, as the article does."""
    images, labels = _all_images(execution), execution.source.labels(0, execution.count)
    method = _method(execution)
    execution.artefact.mkdir()
    with execution.watch.phase("write"):
        if execution.trial.operation == "store-one":
            article.store_one(method, execution.artefact, images[0], int(labels[0]))
        else:
            article.store_many(method, execution.artefact, images, labels)
    execution.progress(execution.count)
    execution.memory.settle()
    with execution.watch.phase(UNTIMED):
        sync(execution.artefact)
    if not execution.again:
        _compare_article(execution, *_article_result(execution))


def _article_read(execution: Execution) -> None:
    """Read all images into memory, as the article does."""
    with execution.watch.phase("read"):
        images, labels = _article_result(execution)
    execution.progress(execution.count)
    execution.memory.settle()
    _compare_article(execution, images, labels)


ARTICLE: dict[str, Callable[[Execution], None]] = {
    "store": _article_store,
    "store-one": _article_store,
    "read": _article_read,
    "read-one": _article_read,
}


def _article_result(execution: Execution) -> tuple[Pixels, article.Labels]:
    if execution.trial.operation.endswith("-one"):
        image, label = article.read_one(_method(execution), execution.artefact)
        return [image], [label]
    return article.read_many(_method(execution), execution.artefact, execution.count)


def _compare_article(execution: Execution, images: Pixels, labels: article.Labels) -> None:
    if execution.again:
        return
    execution.compare_labels(np.asarray(labels, np.int64))
    shape = execution.source.image_shape
    found = digests_of([image.reshape(shape) if shape else image for image in images])
    execution.compare(found, execution.source.digests(0, execution.count), np.arange(execution.count))


def _method(execution: Execution) -> str:
    return execution.configuration.backend.removeprefix("article-")


def _all_images(execution: Execution) -> NDArray[np.uint8]:
    return np.concatenate([np.array(images.pixels) for images in execution.source.images(0, execution.count)])


def _limit_store(execution: Execution) -> None:
    """Write the same bytes to one file, batch by batch."""
    watch, done = execution.watch, 0
    with watch.phase("open"):
        file = execution.artefact.open("xb")
    for records in execution.encoded(execution.codec()):
        data = records.data[records.offsets[0] : records.offsets[-1]]
        with watch.phase("write"):
            file.write(data.data)
        done += len(records)
        execution.progress(done)
    with watch.phase("close"):
        file.close()
    execution.memory.settle()
    with watch.phase(UNTIMED):
        sync(execution.artefact)


def _limit_read(execution: Execution) -> None:
    """Read the same bytes into one touched buffer, batch by batch."""
    watch, check, runs = execution.watch, _checked(execution), _runs(execution)
    buffer = _buffer(runs)
    with watch.phase("open"):
        file = os.open(execution.artefact, os.O_RDONLY | os.O_CLOEXEC)
    for rows, start, stop in runs:
        with watch.phase("read"):
            read_at(file, buffer[: stop - start], start, str(execution.artefact))
        check(buffer[: stop - start], np.arange(*rows))
    with watch.phase("close"):
        os.close(file)
    execution.progress(execution.count)
    execution.memory.settle()


def _limit_copy(execution: Execution) -> None:
    """Copy the same bytes from memory into one touched buffer, batch by batch."""
    data, check, runs = _in_memory(execution), _checked(execution), _runs(execution)
    buffer = _buffer(runs)
    for rows, start, stop in runs:
        with execution.watch.phase("copy"):
            buffer[: stop - start] = data[start:stop]
        check(buffer[: stop - start], np.arange(*rows))
    execution.progress(execution.count)
    execution.memory.settle()


def _limit_shuffled(execution: Execution) -> None:
    """Gather the same batches of random records from memory into one touched buffer."""
    data, ends = _in_memory(execution), execution.source.record_ends(execution.count, execution.configuration.codec)
    sizes, check = np.diff(ends), _checked(execution)
    one_size = len(set(sizes.tolist())) == 1
    rows_of = data.reshape(len(sizes), -1) if one_size else data
    most = max(int(sizes[rows].sum()) for rows in execution.batches())
    buffer = np.ones((most // int(sizes[0]), int(sizes[0])) if one_size else most, np.uint8)
    for rows in execution.batches():
        if one_size:
            with execution.watch.phase("copy"):
                rows_of.take(rows, axis=0, out=buffer[: len(rows)], mode="clip")
            check(buffer[: len(rows)], rows)
        else:
            runs = list(zip(ends[rows].tolist(), ends[rows + 1].tolist(), strict=True))
            total = int(sizes[rows].sum())
            with execution.watch.phase("copy"):
                np.concatenate([data[start:stop] for start, stop in runs], out=buffer[:total])
            check(buffer[:total], rows)
    execution.progress(execution.count)
    execution.memory.settle()


def _checked(execution: Execution) -> Callable[[NDArray[np.uint8], NDArray[np.int64]], None]:
    """What looks at each batch, images end to end, as at any other reader's: it leaves the caches as cold for the next.

    Images of mixed sizes and the bytes of files are not compared.
    """
    shape = execution.source.image_shape
    if shape is None or execution.configuration.codec == SOURCE:
        return lambda data, rows: None
    check = checked(execution)
    return lambda data, rows: check(data.reshape(-1, *shape), rows)


LIMITS: dict[str, Callable[[Execution], None]] = {
    "store": _limit_store,
    "read": _limit_read,
    "shuffled": _limit_shuffled,
    "copy": _limit_copy,
}


def _runs(execution: Execution) -> list[tuple[tuple[int, int], int, int]]:
    """The batches of a read in order: first and last row, and where they begin and end in the artefact."""
    ends = execution.source.record_ends(execution.count, execution.configuration.codec)
    ranges = execution.source.ranges(0, execution.count)
    return [((start, stop), int(ends[start]), int(ends[stop])) for start, stop in ranges]


def _buffer(runs: list[tuple[tuple[int, int], int, int]]) -> NDArray[np.uint8]:
    """A touched buffer that holds any of these batches.

    It begins with a page, as files do: some processors copy at a third of their speed where the sides differ.
    """
    size = max(stop - start for _, start, stop in runs)
    buffer = np.ones(size + mmap.PAGESIZE, np.uint8)
    start = -buffer.ctypes.data % mmap.PAGESIZE
    return buffer[start : start + size]


def _in_memory(execution: Execution) -> NDArray[np.uint8]:
    """The bytes of the artefact; what would take too much memory is mapped and touched instead."""
    if execution.artefact.stat().st_size < usable_memory() // MEMORY_SHARE:
        data: NDArray[np.uint8] = np.fromfile(execution.artefact, np.uint8)
        return data
    with execution.artefact.open("rb") as file:
        data = np.frombuffer(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ), np.uint8)
    data[:: mmap.PAGESIZE].max()
    return data
