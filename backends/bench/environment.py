"""The machine that a run measured, recorded with it."""

from __future__ import annotations

import contextlib
import getpass
import os
import platform
import socket
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from backends.bench.conditions import cgroup_folder, cpu_quota
from backends.bench.disk import Mount, mount_of
from backends.registry import backend_entries

LIBRARIES = ("imgstore-tui", "numpy", "Pillow", "isal", "deflate", "simplejpeg", "xxhash")


@dataclass(frozen=True, slots=True)
class Environment:
    """Attributes: ``cores`` that the process may use; ``memory_bytes`` is the machine's, ``memory_limit`` and
    ``cpu_quota`` (processors' worth) the cgroup's, None where it sets none; ``mounts`` are those that the run
    writes on; ``load`` is that of the last minute before."""

    host: str
    user: str
    system: str
    cpu: str
    cores: int
    memory_bytes: int
    memory_limit: int | None
    python: str
    libraries: dict[str, str]
    mounts: tuple[Mount, ...]
    load: float | None = None
    cpu_quota: float | None = None

    @property
    def usable_memory(self) -> int:
        """Bytes of memory that the cgroup leaves of the machine's."""
        return min(self.memory_bytes, self.memory_limit or self.memory_bytes)

    @property
    def free_bytes(self) -> int | None:
        """What was free where the run writes first."""
        return self.mounts[0].free_bytes if self.mounts else None


def describe_environment(folders: tuple[Path, ...]) -> Environment:
    """The environment of a run that writes in ``folders``."""
    used = [entry.library for entry in backend_entries().values() if entry.library]
    return Environment(
        host=socket.gethostname(),
        user=_user(),
        system=f"{platform.system()} {platform.release()}",
        cpu=_cpu(),
        cores=available_cores(),
        memory_bytes=machine_memory(),
        memory_limit=cgroup_memory(),
        python=platform.python_version(),
        libraries={name: found for name in (*LIBRARIES, *used) if (found := _version(name))},
        mounts=tuple({found.point: found for found in map(mount_of, folders)}.values()),
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        cpu_quota=cpu_quota(),
    )


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def machine_memory() -> int:
    """Bytes of physical memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def usable_memory() -> int:
    """Bytes of memory that this process's cgroup leaves of the machine's."""
    return min(machine_memory(), cgroup_memory() or machine_memory())


def cgroup_memory() -> int | None:
    """The memory limit of this process's cgroup (version 2) in bytes; None where there is none."""
    folder = cgroup_folder()
    with contextlib.suppress(OSError, ValueError):
        return int((folder / "memory.max").read_text()) if folder else None
    return None


def _cpu() -> str:
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return platform.processor() or platform.machine() or sys.platform


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
