"""What else the machine did while a run measured: load, steal, throttling."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

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
