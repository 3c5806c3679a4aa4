"""The machine that a run measures, and what else it did meanwhile."""

from __future__ import annotations

import contextlib
import getpass
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


CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Conditions:
    """Each None where the system does not tell.

    Attributes
    ----------
    load_before, load_after
        Processes that ran or waited to run, over the last minute.
    steal
        Share of the processors' time, 0 to 1, that the host gave to other machines.
    throttled_seconds
        Time for which the cgroup's processor quota held its processes back.
    """

    load_before: float | None = None
    load_after: float | None = None
    steal: float | None = None
    throttled_seconds: float | None = None


class ConditionsWatch:
    """Looks at the machine when it is made and when it is asked."""

    def __init__(self) -> None:
        self._load, self._ticks, self._throttled = _load(), _ticks(), _throttled_seconds()

    def found(self) -> Conditions:
        """What happened since this was made."""
        ticks, throttled = _ticks(), _throttled_seconds()
        steal = None
        if self._ticks is not None and ticks is not None and ticks[0] > self._ticks[0]:
            steal = (ticks[1] - self._ticks[1]) / (ticks[0] - self._ticks[0])
        held = throttled - self._throttled if throttled is not None and self._throttled is not None else None
        return Conditions(self._load, _load(), steal, held)


def cgroup_folder() -> Path | None:
    """The folder of this process's cgroup (version 2); None where there is none."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/cgroup").read_text().splitlines()
        return Path(f"{CGROUP}{next(line.partition('::')[2] for line in lines if line.startswith('0::'))}")
    return None


def cpu_quota() -> float | None:
    """Processors' worth of time that the cgroup allows, such as 1.5; None where it sets no bound."""
    folder = cgroup_folder()
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        quota, period = (folder / "cpu.max").read_text().split() if folder else ("max", "1")
        return int(quota) / int(period)
    return None


def _load() -> float | None:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def _ticks() -> tuple[int, int] | None:
    """All ticks of all processors, and those that were stolen (proc(5), /proc/stat)."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        values = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        return sum(values), values[7]
    return None


def _throttled_seconds() -> float | None:
    folder = cgroup_folder()
    with contextlib.suppress(OSError):
        text = (folder / "cpu.stat").read_text() if folder else ""
        found = re.search(r"^throttled_usec (\d+)$", text, re.MULTILINE)
        return int(found[1]) / 1e6 if found else None
    return None
