"""Disks that are full, fail or go away, and want of memory, while a store is made: it says why, and resumes."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.faults.case import CONTAINERS, Lost
from tests.faults.child import Child, traced
from tests.faults.conftest import POINTS, some
from tests.faults.powercut import Disk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    import numpy as np

    from tests.faults.case import Case, Tally

    Fault = Callable[[Child, Path, np.random.Generator], AbstractContextManager[None]]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount the disk that is filled")


@pytest.fixture
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A filesystem in memory of 24 MB and 4,000 files, or an ext4 that can go read-only."""
    if "read_only" in request.node.name:
        with Disk(tmp_path) as disk:
            yield disk.folder
        return
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,nr_inodes=4000", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@contextlib.contextmanager
def full(child: Child, disk: Path, rng: np.random.Generator) -> Iterator[None]:
    leave = 4096 * int(rng.integers(0, 20))
    with (disk / "ballast").open("wb") as ballast:
        while (free := shutil.disk_usage(disk).free) > leave:  # workers still write the shards that they have
            with contextlib.suppress(OSError):
                os.posix_fallocate(ballast.fileno(), 0, os.fstat(ballast.fileno()).st_size + free - leave)
    yield
    (disk / "ballast").unlink()


@contextlib.contextmanager
def no_inodes(child: Child, disk: Path, rng: np.random.Generator) -> Iterator[None]:
    (disk / "ballast").mkdir()
    with contextlib.suppress(OSError):
        for number in range(os.statvfs(disk).f_ffree - int(rng.integers(0, 3))):
            (disk / "ballast" / str(number)).touch()
    yield
    shutil.rmtree(disk / "ballast")


@contextlib.contextmanager
def _syncs_that_fail(child: Child, disk: Path, error: str) -> Iterator[None]:
    with traced(child, disk.parent / "log", "-e", f"inject=fsync,fdatasync,syncfs:error={error}"):
        yield


def over_quota(child: Child, disk: Path, rng: np.random.Generator) -> AbstractContextManager[None]:
    return _syncs_that_fail(child, disk, "EDQUOT")


def failing(child: Child, disk: Path, rng: np.random.Generator) -> AbstractContextManager[None]:
    return _syncs_that_fail(child, disk, "EIO")


def failing_once(child: Child, disk: Path, rng: np.random.Generator) -> AbstractContextManager[None]:
    """One sync of each process fails, and the next one would succeed."""
    return _syncs_that_fail(child, disk, f"EIO:when={rng.integers(1, 9)}")


@contextlib.contextmanager
def file_too_large(child: Child, disk: Path, rng: np.random.Generator) -> Iterator[None]:
    for pid in (child.pid, *child.workers()):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1 << 10, 1 << 10))
    yield


@contextlib.contextmanager
def no_memory(child: Child, disk: Path, rng: np.random.Generator) -> Iterator[None]:
    for pid in child.workers():
        resource.prlimit(pid, resource.RLIMIT_AS, (1 << 20, 1 << 20))
    yield


@contextlib.contextmanager
def read_only(child: Child, disk: Path, rng: np.random.Generator) -> Iterator[None]:
    """What ext4 becomes where its disk fails."""
    device = subprocess.run(["findmnt", "-no", "SOURCE", disk], capture_output=True, text=True).stdout.strip()
    Path("/sys/fs/ext4", Path(device).name, "trigger_fs_error").write_text("1")
    yield
    subprocess.run(["umount", disk], check=True)
    subprocess.run(["e2fsck", "-p", disk.with_name("image")], capture_output=True)
    subprocess.run(["mount", "-o", "loop,errors=remount-ro", disk.with_name("image"), disk], check=True)


@contextlib.contextmanager
def removed(child: Child, disk: Path, rng: np.random.Generator) -> Iterator[None]:
    while (disk / "store").exists():  # workers still write the shards that they have
        shutil.rmtree(disk / "store", ignore_errors=True)
    child.durable = 0
    yield


@contextlib.contextmanager
def stopped(child: Child, disk: Path, rng: np.random.Generator) -> Iterator[None]:
    child.go()
    child.stop()
    child.signal(signal.SIGCONT)
    yield


FAULTS: dict[Fault, str] = {
    full: "is full",
    no_inodes: "no inodes left",
    over_quota: "quota",
    failing: "Input/output error",
    failing_once: "Input/output error",
    file_too_large: "larger than is allowed",
    no_memory: "out of memory|mapped into memory",
    read_only: "Read-only file system|Input/output error",
    removed: "was removed",
    stopped: "",
}
MAY_SUCCEED = (failing_once, no_memory, stopped)


@pytest.mark.parametrize(
    ("case", "fault"),
    [
        pytest.param(container, fault, id=f"{fault.__name__}-{container}")
        for number, fault in enumerate(FAULTS)
        for place, container in enumerate(CONTAINERS)
        if POINTS > 5 or (number + place) % 4 == 0
    ],
    indirect=["case"],
)
def test_disk_error_is_named_and_survived(
    case: Case, fault: Fault, tally: Tally, disk: Path, rng: np.random.Generator
) -> None:
    for _ in range(max(1, POINTS // 20)):
        with tally.point():
            child = Child(case, disk / "store")
            child.durable_shards(int(rng.integers(1, 9)))  # of ten: what is left needs room
            with fault(child, disk, rng):
                child.go()
                assert child.end() == 0
                assert child.last[0] == "failed" or (fault in MAY_SUCCEED and child.last == ("done",))
                assert child.last == ("done",) or re.search(FAULTS[fault], child.last[1]), child.last
            case.check_durable(disk / "store", child.durable)
            case.resume(disk / "store", child.durable)
            shutil.rmtree(disk / "store")


@some("hdf5", "zarr")
def test_error_that_is_not_heeded_is_seen_to_lose(case: Case, disk: Path, rng: np.random.Generator) -> None:
    """The control: where shards that could not be made are reported all the same."""
    child = Child(case, disk / "store", unprotected="without_errors")
    with full(child, disk, rng):
        child.durable_shards(2)
        with pytest.raises(Lost):
            case.check_durable(disk / "store", child.durable)
        child.go()
        child.end()
