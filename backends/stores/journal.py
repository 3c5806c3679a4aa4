"""What is durable of a store that is being made, and who makes it: the journal and the lock beside the shards."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import tempfile
import time
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

from backends import limits, units
from backends.bench.disk import read_regular, write_durably
from backends.bench.json_files import from_builtins, to_builtins
from backends.errors import NotAllowed, StoreBusy, StoreDamaged
from backends.stores.plan import StorePlan
from backends.stores.shard import Sealed

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""Errors of filesystems without locks, such as Lustre mounted without ``flock``, or NFS whose lock service is down."""

HEARTBEAT_SECONDS = 10.0
SILENT_SECONDS = 60.0
"""A writer on another host that has not touched its lock for so long has died, or its host has."""


class Journal:
    """The shards of one part of a conversion that are durable, a line each; its first line is the plan.

    Every line carries its own checksum: one that was cut or damaged says nothing, and its shard is made again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.plan: StorePlan | None = None
        self.sealed: dict[int, Sealed] = {}
        lines = self._read().split(b"\n")
        for line in filter(None, map(_checked, lines)):
            with contextlib.suppress(ValueError, TypeError):
                if "plan" in line and self.plan is None:
                    self.plan = from_builtins(line["plan"], StorePlan)
                elif "sealed" in line and self.plan is not None:  # else nobody knows which images it has
                    sealed = from_builtins(line["sealed"], Sealed)
                    self.sealed[sealed.number] = sealed

    def _read(self) -> bytes:
        try:
            return read_regular(self.path, limits.JSON_BYTES)
        except FileNotFoundError:
            return b""
        except (OSError, ValueError) as error:
            raise StoreDamaged(f"{self.path} cannot be read ({error}): convert into another folder.") from None

    def begin(self, plan: StorePlan) -> None:
        """Write the plan, and the lines that are whole, durably: one that could not be synced may be in memory only."""
        lines = [{"plan": to_builtins(plan)}, *({"sealed": to_builtins(sealed)} for sealed in self.sealed.values())]
        write_durably(self.path, b"\n".join(map(_with_checksum, lines)) + b"\n")
        self.plan = plan

    def append(self, sealed: Sealed) -> None:
        """Record a shard; it is durable once this returns."""
        line = b"\n" + _with_checksum({"sealed": to_builtins(sealed)}) + b"\n"  # behind one that a full disk cut
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            if os.write(descriptor, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self.sealed[sealed.number] = sealed


def _with_checksum(line: dict[str, Any]) -> bytes:
    text = json.dumps(line, separators=(",", ":"))
    return f'{{"crc32":{zlib.crc32(text.encode())},"line":{text}}}'.encode()


def _checked(data: bytes) -> dict[str, Any] | None:
    """What a line says; None where it is not whole."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        line = limits.parse_json(data)["line"]
        if _with_checksum(line) == data:
            return dict(line)
    return None


class Lock:
    """The right to write, held until it is left or this process dies; others are told who holds it.

    The system's lock on the file decides on one host.  Some network filesystems do not pass it on, so that a writer on
    another host also counts as alive while it touches the file.  On filesystems without locks, whoever creates the file
    has it, until its process has ended.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = -1
        self._beat = 0.0

    def acquire(self, wait: float = 0.0) -> Self:
        """Take the lock, waiting for it up to ``wait`` seconds.  Raises StoreBusy, which names the holder."""
        until = time.monotonic() + wait
        while not self._try():
            if time.monotonic() >= until:
                holder = self._holder()
                since = units.ago(max(0.0, time.time() - float(holder.get("since", time.time()))))
                who = f"process {holder.get('pid', '?')} on {holder.get('host', 'an unknown host')}"
                raise StoreBusy(
                    f"{self.path.parent} is being written by {who}, which began {since}: wait for its end, or stop it."
                )
            time.sleep(0.1)
        return self

    def check_folder(self, shards: Iterable[str]) -> None:
        """Raise NotAllowed where the folder is another user's, or a link leads out of it, also on the way to a shard.

        What lies there is replaced and removed.  A new file tells who owns what is made here: on some filesystems that
        is not who made it.
        """
        folder = self.path.parent
        with tempfile.TemporaryFile(dir=folder) as ours:
            mine = os.fstat(ours.fileno()).st_uid == folder.stat().st_uid
        if not mine:
            raise NotAllowed(f"{folder} belongs to another user, who could change the store: name a folder of yours.")
        ways = {parent for shard in shards for parent in (folder / shard).parents if folder in parent.parents}
        if link := next((path for path in (*folder.iterdir(), *ways) if path.is_symlink()), None):
            raise NotAllowed(f"{link} is a link, behind which nothing may be removed: put there what it leads to.")

    def beat(self) -> None:
        """Show other hosts, now and then, that this writer is alive."""
        if time.monotonic() - self._beat > HEARTBEAT_SECONDS:
            self._beat = time.monotonic()
            os.utime(self._descriptor)

    def release(self) -> None:
        """Give the lock back.  May be called twice."""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                self.path.unlink()
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

    def _try(self) -> bool:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            try:
                descriptor, created = os.open(self.path, flags | os.O_EXCL, 0o644), True
            except FileExistsError:
                descriptor, created = os.open(self.path, flags, 0o644), False
        except PermissionError:
            raise NotAllowed(f"{self.path.parent} may not be written: change its permissions.") from None
        try:
            locked = _lock(descriptor)
            status, there = os.fstat(descriptor), self.path.stat()
            holder = _facts(os.pread(descriptor, 4096, 0))
            silent = time.time() - status.st_mtime
            elsewhere = holder.get("host", socket.gethostname()) != socket.gethostname()
            alive = silent < SILENT_SECONDS if elsewhere or "pid" not in holder else _is_alive(holder["pid"])
            same = (status.st_dev, status.st_ino) == (there.st_dev, there.st_ino)
            if same and not alive and not (locked or created):
                self._remove(status.st_ino)
                return self._try()
            if same and (locked or created) and not (elsewhere and alive):
                facts = {"host": socket.gethostname(), "pid": os.getpid(), "since": time.time()}
                os.truncate(descriptor, 0)
                os.pwrite(descriptor, json.dumps(facts).encode(), 0)
                self._descriptor, self._beat = descriptor, time.monotonic()
                return True
        except (BlockingIOError, PermissionError, FileNotFoundError):  # it is held, or was released meanwhile
            pass
        finally:
            if self._descriptor != descriptor:
                os.close(descriptor)
        return False

    def _remove(self, inode: int) -> None:
        """Remove the lock of a writer that has ended, but not one that was created meanwhile."""
        aside = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        self.path.rename(aside)
        if aside.stat().st_ino != inode:
            os.link(aside, self.path)
        aside.unlink()

    def _holder(self) -> dict[str, Any]:
        with contextlib.suppress(OSError, ValueError):
            # closing the file would release a lock of this process: it has none
            return _facts(read_regular(self.path, limits.HEADER_BYTES))
        return {}


def _lock(descriptor: int) -> bool:
    """Take the system's lock on a file; False where the filesystem has none.  Raises OSError where it is taken."""
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return False
    return True


def _is_alive(pid: int) -> bool:
    """Whether a process of this host goes on.  Raises PermissionError where it does, and is another user's."""
    with contextlib.suppress(ProcessLookupError, TypeError, OverflowError):
        os.kill(pid, 0)
        return True
    return False


def _facts(data: bytes) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        facts = limits.parse_json(data)
        if isinstance(facts, dict):
            return facts
    return {}
