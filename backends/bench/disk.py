"""Filesystems and what lies on them: mounts, free space, sizes, syncing, and where a run may write."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import getpass
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from backends import units
from backends.errors import NoSpace, NotAllowed
from backends.limits import Limit

if TYPE_CHECKING:
    from collections.abc import Iterator

ELSEWHERE = "another folder to write in (--work-dir, or the key w)"  # what to choose where one cannot be used
RESERVE = 0.05  # share of a filesystem that a run leaves free

IN_MEMORY = ("tmpfs", "ramfs", "devtmpfs")
REMOTE = ("nfs", "nfs4", "cifs", "smb3", "lustre", "gpfs", "beegfs", "ceph", "fuse.sshfs", "9p", "afs")


@dataclass(frozen=True, slots=True)
class Mount:
    """A mounted filesystem; parts that the system does not tell are ``"unknown"`` or None."""

    point: str
    filesystem: str
    options: str
    device: str
    block_bytes: int
    journal: bool | None = None  # of ext4: without one, creating files soon after deleting others is very slow
    rotational: bool | None = None  # the device is a disk that turns
    free_bytes: int | None = None  # when it was looked at, nothing taken off
    total_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What a container takes on disk."""

    bytes_apparent: int  # sum of sizes
    bytes_allocated: int  # sum of allocated blocks
    files: int


def mount_of(path: Path) -> Mount:
    """The mount that ``path`` lies on, or the nearest folder above it that exists."""
    path = nearest_existing(path)
    device, space = path.stat().st_dev, os.statvfs(path)
    block, free, total = space.f_frsize, space.f_bavail * space.f_frsize, space.f_blocks * space.f_frsize
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in reversed(_mount_lines()):
        left, _, right = line.partition(" - ")
        if left.split()[2] == number:
            kind, source, *_ = right.split()
            folder = Path(f"/sys/dev/block/{number}").resolve()
            journal = Path(f"/proc/fs/jbd2/{folder.name}-8").exists() if kind == "ext4" else None
            point, options = _mount_point(line), left.split()[5]
            return Mount(point, kind, options, source, block, journal, _turns(folder), free, total)
    return Mount(str(path), "unknown", "", "unknown", block, free_bytes=free, total_bytes=total)


def _mount_lines() -> list[str]:
    """The lines of mountinfo (proc(5)); none where the system has no such file."""
    try:
        return Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return []


def _mount_point(line: str) -> str:
    return line.split()[4].encode().decode("unicode_escape")


def _turns(device: Path) -> bool | None:
    for folder in (device, device.parent):  # a partition has the queue of its disk
        with contextlib.suppress(OSError):
            return (folder / "queue/rotational").read_text().strip() == "1"
    return None


def writable_folders() -> list[tuple[Path, Mount]]:
    """A folder that can be written to on each mounted disk, the largest free space first: the current one, home, ..."""
    points = [Path(_mount_point(line)) for line in _mount_lines()]
    with contextlib.suppress(OSError, RuntimeError):
        points = [Path.cwd(), Path.home(), Path("/var/tmp"), *points, *(point / getpass.getuser() for point in points)]
    by_device: dict[int, tuple[Path, Mount]] = {}
    for folder in points:
        with contextlib.suppress(OSError):
            device = folder.stat().st_dev
            if device not in by_device and _is_writable(folder):
                mount = mount_of(folder)
                if mount.total_bytes and mount.filesystem not in IN_MEMORY:
                    by_device[device] = folder, mount
    return sorted(by_device.values(), key=lambda folder_mount: -(folder_mount[1].free_bytes or 0))


def nearest_existing(path: Path) -> Path:
    """``path`` itself, or the nearest folder above it that exists."""
    path = path.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def free_bytes(folder: Path) -> int:
    """Bytes that a run may still write in ``folder``, the reserve taken off."""
    space = os.statvfs(nearest_existing(folder))
    return max(0, int(space.f_bavail * space.f_frsize - RESERVE * space.f_blocks * space.f_frsize))


def free_files(folder: Path) -> int | None:
    """Files that may still be made in ``folder``; None where the filesystem has no such limit."""
    space = os.statvfs(nearest_existing(folder))
    return space.f_favail if space.f_files else None


def usage_of(path: Path) -> Usage:
    """What a file, or a folder with all that is in it, takes.  Links are not followed."""
    files, folders = tree(path)
    stats = [os.lstat(name) for name in files]
    blocks = sum(stat.st_blocks for stat in (*stats, *map(os.lstat, folders)))
    return Usage(sum(stat.st_size for stat in stats), 512 * blocks, len(files))


def tree(path: Path) -> tuple[list[Path], list[Path]]:
    """The files, links among them, and the folders of a container."""
    if not path.is_dir():
        return [path], []
    files, folders = [], []
    for folder, names, others in os.walk(path):
        folders.append(Path(folder))
        files += [Path(folder, name) for name in others]
        files += [Path(folder, name) for name in names if Path(folder, name).is_symlink()]
    return files, folders


def sync(path: Path) -> None:
    """Make a container durable: fsync of each file and folder; many files by one syncfs and their folders.

    One fsync a file costs about a millisecond each, one syncfs a fiftieth of that for all.
    """
    files, folders = tree(path)
    if len(files) > 16 and _syncfs(path):
        files = []
    for name in (*files, *folders, path.parent):
        fsync(name)


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, durably; it may be there already."""
    if not path.exists():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        fsync(path.parent)


def read_regular(path: Path, limit: Limit) -> bytes:
    """The content of a regular file; a FIFO or a device does not block.

    Raises OSError where it is none or cannot be read, ValueError where it is larger than ``limit``.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        if status.st_size > limit.value:
            raise ValueError(f"it has {limit.exceeded()}")
        return file.read(status.st_size)


def write_durably(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all, also after a power cut."""
    with durable_file(path) as file:
        file.write(data)


@contextlib.contextmanager
def durable_file(path: Path) -> Iterator[BinaryIO]:
    """A new file, ``.NAME.partial``, that takes the place of ``path`` once it is written and synced."""
    name = os.fsencode(path.name)[: 255 - len("..partial")]  # a longer one would be refused
    partial = path.with_name(f".{os.fsdecode(name)}.partial")
    try:
        partial.unlink(missing_ok=True)  # of a process that was killed, or a link that somebody laid
        with partial.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        fsync(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def fsync(path: Path) -> None:
    """Write one file, or the names in one folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not (path.is_dir() and error.errno == errno.EINVAL):  # some filesystems sync no folders
            raise
    finally:
        os.close(descriptor)


def _syncfs(path: Path) -> bool:
    """Whether the system could write all that is held back for the filesystem of ``path``."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if call is None:
        return False
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if call(descriptor) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(path))
    finally:
        os.close(descriptor)
    return True


def choose_work_dir(name: str | None, source: Path | None) -> Path:
    """The folder that a run writes in: ``name`` where given, its links followed.

    Else the folder that the dataset ``source`` lies in, the current folder or ``/var/tmp``, the first that is writable
    and not in memory.  Raises NotAllowed where none of them can be written to.
    """
    if name is None:
        candidates = [source.absolute().parent, Path.cwd()] if source is not None else []
        for folder in (*candidates, Path("/var/tmp"), Path(tempfile.gettempdir())):
            if _is_writable(folder) and mount_of(folder).filesystem not in IN_MEMORY:
                return folder
        raise NotAllowed(f"no folder on a disk can be written to: choose {ELSEWHERE}.")
    try:
        folder = Path(name).expanduser().resolve()
        nearest = nearest_existing(folder)
    except (OSError, RuntimeError) as error:  # RuntimeError: nobody's home, a link to itself
        raise NotAllowed(f"{name} cannot be reached ({error}): choose {ELSEWHERE}.") from None
    if nearest != folder:
        raise NotAllowed(f"there is no folder {folder}: create it, or choose {ELSEWHERE}.")
    if not folder.is_dir():
        raise NotAllowed(f"{folder} is a file: name a folder to write in.")
    if not _is_writable(folder):
        raise NotAllowed(f"{folder} cannot be written to: choose {ELSEWHERE}.")
    return folder


def _is_writable(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def check_space(folder: Path, needed_bytes: int, needed_files: int) -> None:
    """Raise NoSpace where too few bytes, or too few inodes, are free."""
    free = free_bytes(folder)
    if needed_bytes > free:
        raise NoSpace(
            f"not enough space in {folder}: the run writes up to {units.capacity(needed_bytes)}, and "
            f"{units.capacity(free)} can be used (5 % of the disk stay free). Choose fewer images, or {ELSEWHERE}."
        )
    inodes = free_files(folder)
    if inodes is not None and needed_files > inodes:
        raise NoSpace(
            f"too many files for {folder}: the run makes up to {needed_files:,}, and the filesystem has inodes for "
            f"{inodes:,} more. Choose fewer images, or {ELSEWHERE}."
        )
