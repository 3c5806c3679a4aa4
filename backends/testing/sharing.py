"""Tests of readers that are closed, copied, and shared by threads and processes."""

from __future__ import annotations

import gc
import os
import pickle
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from backends.errors import ContainerDamaged
from backends.testing.readers import in_child
from backends.testing.subject import Container, Subject, assert_same, every_kind, kinds, read

if TYPE_CHECKING:
    from backends.base import Backend
    from backends.images import Images


def wrong_reads(backend: Backend, path: Path, images: Images, closes: int = 10) -> list[str]:
    """What went wrong while three threads read all ``images`` and this one closed their reader, again and again.

    After each time it opens files and writes into them, so that descriptors of what was closed are those of others.
    """
    sys.setswitchinterval(1e-4)
    with backend.open(path) as reader:
        wrong: list[str] = []
        closing, begun = True, threading.Barrier(4)

        def work(key: slice) -> None:
            begun.wait()
            while closing:
                try:
                    assert_same(read(reader, key), images, np.arange(len(images))[key])
                except Exception as error:
                    wrong.append(repr(error))

        threads = [threading.Thread(target=work, args=(slice(None, None, step),)) for step in (1, 1, -1)]
        for thread in threads:
            thread.start()
        begun.wait()
        while not wrong and (closes := closes - 1) >= 0:
            reader.close()
            with ExitStack() as files:
                for _ in range(9):
                    files.enter_context(tempfile.TemporaryFile(buffering=0)).write(bytes(1 << 16))
        closing = False
        for thread in threads:
            thread.join()
    return wrong


class Sharing(Subject):
    """Tests of readers that are closed, copied, and shared by threads and processes."""

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

    def test_threads_read_at_once_through_one_reader(self, container: Container) -> None:
        images = container.store(container.images())
        start, wrong = threading.Barrier(4), list[Exception]()

        def work(reads: int) -> None:
            start.wait()
            try:
                for _ in range(reads):
                    assert_same(read(reader), images)
                    assert_same(read(reader, np.array([29, 2, 7])), images, np.array([29, 2, 7]))
            except Exception as error:
                wrong.append(error)

        with container.open() as reader:
            threads = [threading.Thread(target=work, args=(20,)) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert wrong == []

    @pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
    @kinds(("raw", False), ("png", True))
    def test_closing_waits_for_reads_of_other_threads(self, container: Container) -> None:
        images = container.store(container.images())
        assert in_child("fork", wrong_reads, container.backend, container.path, images) == (0, [])

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
