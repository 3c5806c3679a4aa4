"""The machine that a run measures, and what else it did meanwhile."""

from __future__ import annotations

import contextlib
import getpass
import math
import os
import platform
import re
import socket
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from backends.bench.disk import Mount, mount_of
from backends.registry import backend_entries

LIBRARIES = ("imgstore-tui", "numpy", "Pillow", "deflate", "simplejpeg", "xxhash")

MEMORY_SHARE = 4  # what is held in memory on purpose takes at most this part (a quarter) of it

CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Environment:
    """The machine and the software of a run."""

    host: str
    user: str
    system: str
    cpu: str
    cores: int  # that the process may use
    memory_bytes: int
    memory_limit: int | None  # of the cgroup, in bytes
    python: str
    libraries: dict[str, str]
    mounts: tuple[Mount, ...]  # that the run writes on
    load: float | None = None  # load average of the minute before
    cpu_quota: float | None = None  # processors' worth of time that the cgroup allows, such as 1.5

    @property
    def usable_memory(self) -> int:
        """Bytes of memory that the cgroup leaves of the machine's."""
        return min(self.memory_bytes, self.memory_limit or self.memory_bytes)

    @property
    def free_bytes(self) -> int | None:
        """Bytes that were free where the run writes first."""
        return self.mounts[0].free_bytes if self.mounts else None


@dataclass(frozen=True, slots=True)
class Conditions:
    """What happened during a run; each None where the system does not tell."""

    load_before: float | None = None  # processes that ran or waited to run, over the last minute
    load_after: float | None = None
    steal: float | None = None  # share of the processors' time that the host gave to other machines
    throttled_seconds: float | None = None  # for which the cgroup's processor quota held its processes back


class ConditionsWatch:
    """Compares the machine's counters with those at the time when it was made."""

    def __init__(self) -> None:
        self._load, self._ticks, self._throttled = _load(), _ticks(), _throttled_seconds()

    def so_far(self) -> Conditions:
        """What happened since this was made."""
        before, after, throttled = self._ticks, _ticks(), _throttled_seconds()
        steal = (after[1] - before[1]) / (after[0] - before[0]) if before and after and after[0] > before[0] else None
        held = throttled - self._throttled if throttled is not None and self._throttled is not None else None
        return Conditions(self._load, _load(), steal, held)


def describe_environment(folders: tuple[Path, ...]) -> Environment:
    """The environment of a run that writes in ``folders``."""
    names = (*LIBRARIES, *(entry.library for entry in backend_entries().values() if entry.library))
    return Environment(
        host=socket.gethostname(),
        user=_user(),
        system=f"{platform.system()} {platform.release()}",
        cpu=_processor(),
        cores=_cores(),
        memory_bytes=_machine_memory(),
        memory_limit=_memory_limit(),
        python=platform.python_version(),
        libraries={name: number for name in names if (number := _version(name))},
        mounts=tuple({mount.point: mount for mount in map(mount_of, folders)}.values()),
        load=_load(),
        cpu_quota=_cpu_quota(),
    )


def granted_cores() -> int:
    """Cores that this process may use, by its affinity, which Slurm sets, and the quota of its cgroup."""
    return max(1, min(_cores(), math.ceil(_cpu_quota() or _cores())))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def usable_memory() -> int:
    """Bytes of memory that this process's cgroup leaves of the machine's."""
    return min(_machine_memory(), _memory_limit() or _machine_memory())


def _machine_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _memory_limit() -> int | None:
    with contextlib.suppress(ValueError):  # "max" is no limit
        return int(_cgroup_file("memory.max"))
    return None


def _cpu_quota() -> float | None:
    with contextlib.suppress(ValueError, ZeroDivisionError):
        quota, period = _cgroup_file("cpu.max").split()
        return int(quota) / int(period)
    return None


def _throttled_seconds() -> float | None:
    match = re.search(r"^throttled_usec (\d+)$", _cgroup_file("cpu.stat"), re.MULTILINE)
    return int(match[1]) / 1e6 if match else None


def _cgroup_file(name: str) -> str:
    """The text of a file of this process's cgroup (version 2); empty where there is none."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/cgroup").read_text().splitlines()
        folder = next(line.partition("::")[2] for line in lines if line.startswith("0::"))
        return Path(f"{CGROUP}{folder}", name).read_text()
    return ""


def _load() -> float | None:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def _ticks() -> tuple[int, int] | None:
    """All ticks of all processors, and those that were stolen (proc(5), /proc/stat)."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        values = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        return sum(values), values[7]
    return None


def _processor() -> str:
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
    with contextlib.suppress(PackageNotFoundError):
        return version(name)
    return ""
