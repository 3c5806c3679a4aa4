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
from backends.testing.subject import EVERY_KIND, KINDS, Container, Subject, assert_same, read

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

    @EVERY_KIND
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

    @pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="/dev/fd lists what is open")
    def test_collected_reader_leaves_no_descriptor_open(self, container: Container) -> None:
        images = container.store(container.images())
        gc.collect()
        before = len(list(Path("/dev/fd").iterdir()))
        reader = container.open()
        assert_same(read(reader, np.array([2, 1])), images, np.array([2, 1]))
        assert len(list(Path("/dev/fd").iterdir())) > before
        del reader
        gc.collect()
        assert len(list(Path("/dev/fd").iterdir())) == before

    def test_a_reader_survives_pickling(self, container: Container) -> None:
        images = container.store(container.images())
        with container.open() as reader:
            read(reader, np.array([1]))
            with pickle.loads(pickle.dumps(reader)) as copy:
                assert_same(read(copy), images)

    @pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
    @pytest.mark.parametrize(
        ("method", "container"),
        [*(("fork", kind) for kind in KINDS), *(("spawn", kind) for kind in KINDS[:2])],
        indirect=["container"],
    )
    def test_reader_works_in_child_and_parent(self, container: Container, method: str) -> None:
        images = container.store(container.images())
        with container.open() as reader:
            read(reader, np.array([1]))
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
