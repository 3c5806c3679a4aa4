"""The guard of readers: reads at once, opening and closing alone."""

from __future__ import annotations

import faulthandler
import signal
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from backends.containers.npy import NpyReader
from backends.guard import Guard
from backends.registry import make_backend
from backends.testing.readers import in_child
from backends.testing.sharing import wrong_reads
from backends.testing.subject import assert_same, layout_of, make_images, read, store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backends.images import Images

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
IMAGES, LARGE = make_images(30), make_images(60, side=60)


@pytest.mark.parametrize("backend", ["sqlite", "npy", "hdf5", "tar", "files", "zarr"])
def test_without_guard_closing_harms_reads(backend: str, tmp_path: Path) -> None:
    store(make_backend(backend), tmp_path / "container", LARGE, layout_of(LARGE, "raw"))
    assert in_child("fork", wrong_reads_without_guard, backend, tmp_path / "container") != (0, [])


def wrong_reads_without_guard(backend: str, path: Path) -> list[str]:
    faulthandler.disable()  # a crash is what is looked for
    for method in ("enter", "leave", "enter_alone", "leave_alone"):
        setattr(Guard, method, lambda self, **options: None)
    return wrong_reads(make_backend(backend), path, LARGE, closes=1_000)


def in_thread(function: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    return thread


def test_reads_run_at_once() -> None:
    guard, inside = Guard(), threading.Barrier(2)

    def work() -> None:
        guard.enter()
        inside.wait(60)
        guard.leave()

    other = in_thread(work)
    work()
    other.join()


def test_close_waits_for_a_read_and_later_reads_for_the_close() -> None:
    guard, order = Guard(), list[str]()
    guard.enter()

    def close(name: str) -> None:
        guard.enter_alone()
        order.append(name)
        until(lambda: guard._waiting == 1)
        guard.leave_alone()

    def work() -> None:
        guard.enter()
        order.append("read")
        guard.leave()

    closing = in_thread(lambda: close("close"))
    until(lambda: guard._wanted)
    reading = in_thread(work)
    until(lambda: guard._waiting == 1)
    assert order == []
    guard.leave()
    for thread in (closing, reading):
        thread.join()
    assert order == ["close", "read"]


def until(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.001)


@pytest.mark.parametrize("alone", [False, True])
def test_interrupted_wait_leaves_the_guard_free(alone: bool) -> None:
    guard, before = Guard(), signal.signal(signal.SIGUSR1, raise_interrupt)
    (guard.enter if alone else guard.enter_alone)()

    def interrupt() -> None:
        until(lambda: guard._wanted if alone else guard._waiting == 1)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    other = in_thread(interrupt)
    with pytest.raises(InterruptedError):
        (guard.enter_alone if alone else guard.enter)()
    signal.signal(signal.SIGUSR1, before)
    other.join()
    (guard.leave if alone else guard.leave_alone)()
    guard.enter()
    guard.leave()
    guard.enter_alone()
    guard.leave_alone()


def raise_interrupt(*_: object) -> None:
    raise InterruptedError


@pytest.mark.parametrize("alone", [False, True])
def test_child_of_fork_has_a_free_guard(alone: bool) -> None:
    guard, taken, done = Guard(), threading.Event(), threading.Event()

    def hold() -> None:
        (guard.enter_alone if alone else guard.enter)()
        taken.set()
        done.wait()
        (guard.leave_alone if alone else guard.leave)()

    other = in_thread(hold)
    taken.wait()
    assert in_child("fork", take, guard) == (0, alone)
    done.set()
    other.join()
    assert take(guard) is False


def take(guard: Guard) -> bool:
    guard.enter_alone()
    guard.leave_alone(to_read=True)
    guard.leave()
    return guard.torn


class PausingReader(NpyReader):
    """Waits in the middle of opening again, with its folder open and the file of before closed."""

    paused: threading.Event | None = None
    going_on: threading.Event

    def _open_records(self) -> None:
        if self.paused is not None:
            self.paused.set()
            self.going_on.wait()
        super()._open_records()


def test_child_forked_while_the_reader_is_opened_reads(tmp_path: Path) -> None:
    store(make_backend("npy"), tmp_path / "container", IMAGES, layout_of(IMAGES, "raw"))
    found: list[Images] = []
    with PausingReader(tmp_path / "container") as reader:
        reader.close()
        reader.paused, reader.going_on = threading.Event(), threading.Event()
        other = in_thread(lambda: found.append(read(reader)))
        reader.paused.wait()
        code, in_fork = in_child("fork", read_unpaused, reader)
        reader.going_on.set()
        other.join()
        assert code == 0
        for each in (in_fork, found[0], read(reader, np.arange(30))):
            assert_same(each, IMAGES)


def read_unpaused(reader: PausingReader) -> Images:
    assert reader.is_open, "half"
    reader.paused = None
    return read(reader)
