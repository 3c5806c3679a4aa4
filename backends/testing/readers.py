"""Running a function in a child process, which may crash, and counting the bytes that a process reads."""

from __future__ import annotations

import gc
import os
import pickle
import resource
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from backends.errors import ContainerDamaged
from backends.testing.subject import Container, Subject, assert_same, every_kind, read

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

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
    """Tests of how readers are opened, shared and closed."""

    @every_kind
    def test_two_readers_at_once(self, container: Container) -> None:
        images = container.store(container.images())
        first, second = container.open(), container.open()
        assert_same(read(first, slice(0, 9)), images, np.arange(9))
        assert_same(read(second, slice(9, 30)), images, np.arange(9, 30))
        first.close()
        assert_same(read(second), images)
        second.close()

    def test_closed_reader_closes_again_and_reads_again(self, container: Container) -> None:
        images = container.store(container.images())
        reader = container.open()
        for key in (slice(None), np.array([2, 1])):
            reader.close()
            reader.close()
            assert_same(read(reader, key), images, np.arange(30)[key])
        reader.close()

    def test_container_replaced_after_close_is_refused(self, container: Container) -> None:
        container.store(container.images())
        reader = container.open()
        read(reader, np.array([1]))
        reader.close()
        container.path.rename(container.path.with_name("before"))
        container.store(container.images(20, side=7))
        for _ in range(2):
            with pytest.raises(ContainerDamaged):
                read(reader, np.array([1]))
        reader.close()

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

    @pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="/dev/fd lists what is open")
    def test_collected_reader_leaves_no_descriptor_open(self, container: Container) -> None:
        images = container.store(container.images())
        with container.open() as rehearsal:
            read(rehearsal)
        gc.collect()
        before = os.listdir("/dev/fd")  # noqa: PTH208
        reader = container.open()
        assert_same(read(reader, np.array([2, 1])), images, np.array([2, 1]))
        del reader
        gc.collect()
        assert os.listdir("/dev/fd") == before  # noqa: PTH208

    def test_a_reader_survives_pickling(self, container: Container) -> None:
        images = container.store(container.images())
        with container.open() as reader:
            read(reader, np.array([1]))
            with pickle.loads(pickle.dumps(reader)) as copy:
                assert_same(read(copy), images)

    @pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
    @every_kind
    def test_reader_works_in_child_and_parent(self, container: Container) -> None:
        images = container.store(container.images())
        with container.open() as reader:
            read(reader, np.array([1]))
            for method in ("fork",) if container.mixed else ("fork", "spawn"):
                code, found = in_child(method, read, reader)
                assert code == 0
                assert_same(found, images)
                assert_same(read(reader), images)

    def test_reading_leaves_nothing_behind(self, container: Container) -> None:
        container.store(container.images())
        before = [(file, file.stat().st_mtime_ns, file.stat().st_size) for file in container.files()]
        with container.open() as reader:
            read(reader)
            assert container.files() == [file for file, _, _ in before]
        assert [(file, file.stat().st_mtime_ns, file.stat().st_size) for file in container.files()] == before
