"""Filesystems and what lies on them: mounts, free space, sizes, syncing, and where a run may write."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import getpass
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from backends import units
from backends.errors import NoSpace, NotAllowed

ELSEWHERE = "another folder to write in (--work-dir, or the key w)"
"""What to choose where one cannot be used."""

RESERVE = 0.05
"""Share of a filesystem that a run leaves free."""

IN_MEMORY = ("tmpfs", "ramfs", "devtmpfs")
REMOTE = ("nfs", "nfs4", "cifs", "smb3", "lustre", "gpfs", "beegfs", "ceph", "fuse.sshfs", "9p", "afs")


@dataclass(frozen=True, slots=True)
class Mount:
    """A mounted filesystem.

    Attributes
    ----------
    journal
        Known for ext4 only: creating files soon after deleting others is twenty times slower on one without.
    rotational
        Whether the device is a disk that turns; None where the system does not tell.
    free_bytes, total_bytes
        When it was looked at, nothing taken off.
    """

    point: str
    filesystem: str
    options: str
    device: str
    block_bytes: int
    journal: bool | None = None
    rotational: bool | None = None
    free_bytes: int | None = None
    total_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What a container takes on disk: sum of sizes, of allocated blocks (bytes), and the number of files."""

    bytes_apparent: int
    bytes_allocated: int
    files: int


def mount_of(path: Path) -> Mount:
    """The mount that ``path`` lies on; unknown parts are ``"unknown"``."""
    path = nearest_existing(path)
    device = path.stat().st_dev
    space = os.statvfs(path)
    block, free, total = space.f_frsize, space.f_bavail * space.f_frsize, space.f_blocks * space.f_frsize
    for line in reversed(_mount_lines()):
        left, _, right = line.partition(" - ")
        _, _, number, _, _, options, *_ = left.split()
        if number == f"{os.major(device)}:{os.minor(device)}":
            kind, source, *_ = right.split()
            journal, turns = _has_journal(kind, device), _is_rotational(device)
            return Mount(_mount_point(line), kind, options, source, block, journal, turns, free, total)
    return Mount(str(path), "unknown", "", "unknown", block, free_bytes=free, total_bytes=total)


def _mount_lines() -> list[str]:
    """The lines of mountinfo (proc(5)); none where the system has no such file."""
    try:
        return Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return []


def _mount_point(line: str) -> str:
    return line.split()[4].encode().decode("unicode_escape")


def writable_folders() -> list[tuple[Path, Mount]]:
    """A folder that can be written to on each mounted disk, the largest free space first: the current one, home, ..."""
    points = [Path(_mount_point(line)) for line in _mount_lines()]
    with contextlib.suppress(OSError, RuntimeError):
        points = [Path.cwd(), Path.home(), Path("/var/tmp"), *points, *(point / getpass.getuser() for point in points)]
    found: dict[int, tuple[Path, Mount]] = {}
    for folder in points:
        with contextlib.suppress(OSError):
            device = folder.stat().st_dev
            if device not in found and _writable(folder):
                mount = mount_of(folder)
                if mount.total_bytes and mount.filesystem not in IN_MEMORY:
                    found[device] = folder, mount
    return sorted(found.values(), key=lambda one: -(one[1].free_bytes or 0))


def _has_journal(kind: str, device: int) -> bool | None:
    if kind != "ext4":
        return None
    name = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve().name
    with contextlib.suppress(OSError):
        return Path(f"/proc/fs/jbd2/{name}-8").exists()
    return None


def _is_rotational(device: int) -> bool | None:
    folder = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve()
    for place in (folder, folder.parent):  # a partition has the queue of its disk
        with contextlib.suppress(OSError):
            return (place / "queue/rotational").read_text().strip() == "1"
    return None


def nearest_existing(path: Path) -> Path:
    """``path`` itself, or the nearest folder above it that exists."""
    path = path.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def free_bytes(folder: Path) -> int:
    """Bytes that a run may still write in ``folder``, the reserve taken off."""
    found = os.statvfs(nearest_existing(folder))
    return max(0, int(found.f_bavail * found.f_frsize - RESERVE * found.f_blocks * found.f_frsize))


def free_files(folder: Path) -> int | None:
    """Files that may still be made in ``folder``; None where the filesystem has no such limit."""
    found = os.statvfs(nearest_existing(folder))
    return found.f_favail if found.f_files else None


def usage_of(path: Path) -> Usage:
    """What a file, or a folder with all that is in it, takes.  Links are not followed."""
    apparent = allocated = files = 0
    folders = [path] if path.is_dir() else []
    if not folders:
        found = path.lstat()
        return Usage(found.st_size, found.st_blocks * 512, 1)
    allocated += path.lstat().st_blocks * 512
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                found = entry.stat(follow_symlinks=False)
                allocated += found.st_blocks * 512
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                else:
                    apparent += found.st_size
                    files += 1
    return Usage(apparent, allocated, files)


def sync(path: Path) -> None:
    """Make a container durable: fsync of each file and folder; many files by one syncfs and their folders.

    One fsync a file costs about a millisecond each, one syncfs a fiftieth of that for all.
    """
    files, folders = tree(path)
    if len(files) > 16 and _syncfs(path):
        files = []
    for name in (*files, *folders, path.parent):
        descriptor = os.open(name, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if not (name.is_dir() and error.errno == errno.EINVAL):  # some filesystems sync no folders
                raise
        finally:
            os.close(descriptor)


def tree(path: Path) -> tuple[list[Path], list[Path]]:
    """The files and the folders of a container."""
    if not path.is_dir():
        return [path], []
    files, folders = [], []
    for folder, _, names in os.walk(path):
        folders.append(Path(folder))
        files += [Path(folder, name) for name in names]
    return files, folders


def _syncfs(path: Path) -> bool:
    try:
        call = ctypes.CDLL(None, use_errno=True).syncfs
    except AttributeError:
        return False
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if call(descriptor) == 0:
            return True
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(descriptor)


def choose_work_dir(asked: str | None, source: Path | None) -> Path:
    """The folder that a run writes in.

    ``asked`` where given, its links followed; else the folder that the dataset ``source`` lies in, the current
    folder or ``/var/tmp``, the first that is writable and not in memory.

    Raises
    ------
    NotAllowed
        None of them can be written to.
    """
    if asked is not None:
        try:
            folder = Path(asked).expanduser().resolve()
            nearest = nearest_existing(folder)
        except (OSError, RuntimeError) as error:  # RuntimeError: nobody's home, a link to itself
            raise NotAllowed(f"{asked} cannot be reached ({error}): choose {ELSEWHERE}.") from None
        if nearest != folder:
            raise NotAllowed(f"there is no folder {folder}: create it, or choose {ELSEWHERE}.")
        if not folder.is_dir():
            raise NotAllowed(f"{folder} is a file: name a folder to write in.")
        if not _writable(folder):
            raise NotAllowed(f"{folder} cannot be written to: choose {ELSEWHERE}.")
        return folder
    candidates = [source.absolute().parent, Path.cwd()] if source is not None else []
    for folder in (*candidates, Path("/var/tmp"), Path(tempfile.gettempdir())):
        if _writable(folder) and mount_of(folder).filesystem not in IN_MEMORY:
            return folder
    raise NotAllowed(f"no folder on a disk can be written to: choose {ELSEWHERE}.")


def _writable(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def check_space(folder: Path, needed_bytes: int, needed_files: int) -> None:
    """Refuse what would not fit.

    Raises
    ------
    NoSpace
        Too few bytes, or too few inodes, are free.
    """
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
