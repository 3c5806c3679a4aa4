"""Tests of what readers return."""

from __future__ import annotations

import os
import resource
import sys
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from backends.errors import ContainerDamaged
from backends.images import Images, Records
from backends.registry import backend_entry, make_codec
from backends.testing.subject import (
    Container,
    Subject,
    assert_same,
    encode,
    every_kind,
    kinds,
    layout_of,
    make_images,
    read,
    store,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from numpy.typing import NDArray

    from backends.base import Backend


def in_child(method: str, function: Callable[..., Any], *arguments: Any) -> tuple[int | None, Any]:
    """Call ``function`` in a child made by ``method`` ("fork" or "spawn"): exit code and result, None where it died."""
    context: Any = get_context(method)
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_send, args=(sender, function, arguments))
    child.start()
    sender.close()
    try:
        result = receiver.recv()
    except EOFError:
        result = None
    child.join()
    return child.exitcode, result


def _send(sender: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    sender.send(function(*arguments))


def is_refused(backend: Backend, path: Path) -> bool:
    """Whether opening and reading all of a container ends in ContainerDamaged."""
    try:
        with backend.open(path) as reader:
            read(reader)
            assert len(reader.labels) == len(reader)
    except ContainerDamaged:
        return True
    return False


def bytes_touched() -> int:
    """Bytes that this process has read by calls, and at least a part of those it has touched through maps (Linux).

    A fault on a mapped file maps the 16 pages around it, or more.
    """
    calls = next(line for line in Path("/proc/self/io").read_text().splitlines() if line.startswith("rchar"))
    faults = resource.getrusage(resource.RUSAGE_SELF)
    return int(calls.split()[1]) + (faults.ru_minflt + faults.ru_majflt) * 16 * os.sysconf("SC_PAGE_SIZE")


class Readers(Subject):
    """Tests of what readers return."""

    @pytest.mark.parametrize("replaced", [False, True])
    @every_kind
    def test_open_reader_never_reads_what_came_later(self, container: Container, replaced: bool) -> None:
        images = container.store(container.images())
        with container.open() as reader:
            container.path.rename(container.path.with_name("before"))
            if replaced:
                container.store(container.images(seed=1))
            try:
                assert_same(read(reader), images)
                np.testing.assert_array_equal(reader.labels, images.labels)
            except (ContainerDamaged, FileNotFoundError):
                pass

    def test_reading_leaves_nothing_behind(self, container: Container) -> None:
        container.store(container.images())
        before = [(file, file.stat().st_mtime_ns, file.stat().st_size) for file in container.files()]
        with container.open() as reader:
            read(reader)
            assert container.files() == [file for file, _, _ in before]
        assert [(file, file.stat().st_mtime_ns, file.stat().st_size) for file in container.files()] == before

    @pytest.mark.parametrize(("count", "channels"), [(30, 1), (30, 3), (30, 4), (0, 3), (1, 3)])
    @every_kind
    def test_images_come_back_in_order(self, container: Container, count: int, channels: int) -> None:
        images = container.store(container.images(count, channels=channels))
        with container.open() as reader:
            assert reader.layout == container.layout(images)
            for key in (slice(None), np.arange(count), np.empty(0, np.int64)):
                assert_same(read(reader, key), images, np.arange(count)[key])

    def test_more_images_than_a_batch_or_a_folder_has(self, container: Container) -> None:
        images = container.images(2_050, side=3)
        store(container.backend, container.path, images, container.layout(images), batch=1_024)
        with container.open() as reader:
            assert_same(read(reader, np.array([0, 999, 1_000, 2_049])), images, np.array([0, 999, 1_000, 2_049]))

    @every_kind
    def test_batches_may_be_views_of_larger_buffers_and_empty(self, container: Container) -> None:
        images = container.images(9)
        records = encode(images, container.codec)
        with container.backend.create(container.path, container.layout(images)) as writer:
            for some in (slice(0, 4), slice(4, 4), slice(4, 9)):
                shapes = None if records.shapes is None else records.shapes[some]
                ends = records.offsets[some.start : some.stop + 1]
                writer.append(Records(records.data, ends, records.labels[some], shapes))
        with container.open() as reader:
            assert_same(read(reader), images)

    @kinds(("source", False), ("source", True), ("jpeg", False), ("jpeg", True))
    def test_records_come_back_byte_for_byte(self, container: Container) -> None:
        images = container.store(container.images())
        records = encode(images, container.codec)
        with container.open() as reader:
            for rows in (np.arange(30), np.array([29, 3, 3])):
                found = reader.read(rows)
                wanted = [records.record(row).tobytes() for row in rows.tolist()]
                assert [found.record(index).tobytes() for index in range(len(rows))] == wanted
                np.testing.assert_array_equal(found.labels, images.labels[rows])

    def test_plain_library_reads_it(self, container: Container) -> None:
        images, codec = make_images(1_003, side=4), backend_entry(self.backend).codec
        store(container.backend, container.path, images, layout_of(images, codec, ("cat", "dog")))
        pixels, labels = self.plain_read(container.path)
        assert_same(Images(pixels, labels), images)

    @pytest.mark.parametrize(
        "key",
        [
            slice(3, 17),
            slice(2, 30, 5),
            slice(None, None, -1),
            slice(-4, 1_000),
            slice(9, 4),
            np.array([5, 5, 29, 0, 5]),
            np.array([-1, -30, 7]),
            np.array([1, 2], np.uint8),
        ],
        ids=str,
    )
    @every_kind
    def test_keys_read_like_those_of_an_array(self, container: Container, key: slice | NDArray[np.int64]) -> None:
        images = container.store(container.images())
        with container.open() as reader:
            assert_same(read(reader, key), images, np.arange(30)[key])

    @pytest.mark.parametrize("row", [30, -31, 2**40])
    def test_rows_outside_are_refused(self, container: Container, row: int) -> None:
        container.store(container.images())
        with container.open() as reader, pytest.raises(IndexError, match=str(row)):
            reader.read(np.array([0, row]))

    @kinds(("raw", False))
    @pytest.mark.parametrize("key", [slice(4, 24), np.array([8, 3, 3, 20])], ids=["slice", "rows"])
    def test_out_is_filled_and_returned(self, container: Container, key: slice | NDArray[np.int64]) -> None:
        images = container.store(container.images())
        rows = np.arange(30)[key]
        out = np.zeros((len(rows), images.pixels[0].size), np.uint8)
        with container.open() as reader:
            records = reader.read(key, out)
            assert np.shares_memory(records.data, out)
            assert_same(make_codec("raw").decode(records, reader.layout), images, rows)

    @kinds(("raw", False))
    @pytest.mark.parametrize("shape", [(29, 468), (30, 467), (30 * 468,)])
    def test_out_of_wrong_shape_is_refused(self, container: Container, shape: tuple[int, ...]) -> None:
        container.store(container.images())
        with container.open() as reader, pytest.raises(ValueError, match="out"):
            reader.read(slice(None), np.empty(shape, np.uint8))

    def test_labels_and_class_names_keep_every_bit(self, container: Container) -> None:
        classes = tuple(f"класс {number} 猫\n'\"," for number in range(1_000))
        labels = np.array([-1, 0, 255, 256, 999, 2**40, -(2**63)])
        images = Images(make_images(7).pixels, labels)
        store(container.backend, container.path, images, layout_of(images, container.codec, classes))
        with container.open() as reader:
            assert reader.layout.classes == classes
            assert reader.labels.dtype == np.int64
            np.testing.assert_array_equal(reader.labels, labels)

    @pytest.mark.skipif(sys.platform != "linux", reason="/proc/self/io and page faults count what is read")
    def test_labels_touch_no_image(self, container: Container) -> None:
        container.store(container.images(160, side=256))
        with container.open() as rehearsal:
            assert len(rehearsal.labels) == 160
        with container.open() as reader:
            before = bytes_touched()
            assert len(reader.labels) == 160
            by_labels = bytes_touched() - before
            reader.read(slice(None))
            by_images = bytes_touched() - before - by_labels
        assert by_labels < 160 * 256 * 257 * 3 // 20
        assert by_images > 3 * max(by_labels, 1 << 18), "the measure itself sees what is read"
