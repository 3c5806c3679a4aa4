"""Running a function in a child process, which may crash, and counting the bytes that a process reads."""

from __future__ import annotations

import os
import resource
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.errors import ContainerDamaged
from backends.testing.batches import read

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from backends.base import Backend


def in_child(method: str, function: Callable[..., Any], *arguments: Any) -> tuple[int | None, Any]:
    """Call ``function`` in a child made by ``method`` ("fork" or "spawn"): exit code and result, None where it died."""
    context: Any = get_context(method)
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_send, args=(sender, function, arguments))
    child.start()
    sender.close()
    try:
        result = receiver.recv()
    except EOFError:
        result = None
    child.join()
    return child.exitcode, result


def _send(sender: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    sender.send(function(*arguments))


def is_refused(backend: Backend, path: Path) -> bool:
    """Whether opening and reading all of a container ends in ContainerDamaged."""
    try:
        with backend.open(path) as reader:
            read(reader)
            assert len(reader.labels) == len(reader)
    except ContainerDamaged:
        return True
    return False


def bytes_touched() -> int:
    """Bytes that this process has read by calls, and at least a part of those it has touched through maps (Linux).

    A fault on a mapped file maps the 16 pages around it, or more.
    """
    calls = next(line for line in Path("/proc/self/io").read_text().splitlines() if line.startswith("rchar"))
    faults = resource.getrusage(resource.RUSAGE_SELF)
    return int(calls.split()[1]) + (faults.ru_minflt + faults.ru_majflt) * 16 * os.sysconf("SC_PAGE_SIZE")
