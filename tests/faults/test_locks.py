"""Two writers of one store, and locks of writers that are gone."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import socket
import time
from typing import TYPE_CHECKING

import pytest

from backends.errors import StoreBusy
from backends.stores.journal import SILENT_SECONDS
from tests.faults.child import Child

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.case import Case

pytestmark = pytest.mark.parametrize("case", ["npy"], indirect=True)


@pytest.fixture
def writer(case: Case, tmp_path: Path) -> Child:
    """A conversion that is at work."""
    child = Child(case, tmp_path / "store")
    child.durable_shards(2)
    return child


@pytest.mark.parametrize("stopped", [False, True])
def test_second_writer_is_refused_naming_the_first(case: Case, writer: Child, tmp_path: Path, stopped: bool) -> None:
    if stopped:
        writer.stop()
    with pytest.raises(StoreBusy, match=f"process {writer.pid} on {socket.gethostname()}"):
        case.resume(tmp_path / "store")
    writer.signal(signal.SIGCONT)
    writer.go()
    assert writer.end() == 0
    case.check_store(tmp_path / "store")


def test_without_locks_two_write_one_store(
    case: Case, writer: Child, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: without the system's locks, the second one finishes the store of the first."""
    monkeypatch.setattr(fcntl, "lockf", lambda *arguments: None)
    case.resume(tmp_path / "store")
    assert writer.process.is_alive()


@pytest.mark.parametrize("error", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_filesystem_without_locks_has_one_writer(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def no_lock(descriptor: int, operation: int) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(fcntl, "lockf", no_lock)  # of the child, too
    child = Child(case, tmp_path / "store")
    child.durable_shards(2)
    with pytest.raises(StoreBusy, match=f"process {child.pid} on {socket.gethostname()}"):
        case.resume(tmp_path / "store")
    child.signal(signal.SIGKILL)
    child.end()
    assert (tmp_path / "store/lock").exists()
    case.resume(tmp_path / "store", child.durable)
    assert not (tmp_path / "store/lock").exists()


@pytest.mark.parametrize(
    ("host", "pid", "silent", "stale"),
    [
        ("here", 2**22 + 1, 0.0, True),  # its process is dead
        ("here", 1, 0.0, True),  # its host was started again, and its number is another process's
        ("elsewhere", 1, 2 * SILENT_SECONDS, True),
        ("elsewhere", 1, 0.0, False),
    ],
)
def test_lock_of_a_writer_that_is_gone_is_stale(
    case: Case, writer: Child, tmp_path: Path, host: str, pid: int, silent: float, stale: bool
) -> None:
    writer.signal(signal.SIGKILL)
    writer.end()
    lock = tmp_path / "store/lock"
    holder = {"host": socket.gethostname() if host == "here" else host, "pid": pid, "since": time.time() - 600}
    lock.write_text(json.dumps(holder))
    os.utime(lock, (time.time() - silent,) * 2)
    if stale:
        case.resume(tmp_path / "store", writer.durable)
    else:
        with pytest.raises(StoreBusy, match="process 1 on elsewhere"):
            case.resume(tmp_path / "store")
