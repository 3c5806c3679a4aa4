"""The events of a job on disk: appended one line at a time, and followed while they grow."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from backends.jobs.events import decode_event, encode_event

if TYPE_CHECKING:
    from pathlib import Path

    from backends.jobs.events import Event

_LAST_BYTES = 1 << 16


class Journal:
    """Appends events, which nobody else does."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._torn = False

    def append(self, event: Event) -> None:
        """Write one event.

        Raises
        ------
        OSError
            It could not be written whole; the next one starts on a line of its own.
        """
        line = (b"\n" if self._torn else b"") + encode_event(event)
        self._torn = True
        while line:
            line = line[os.write(self._descriptor, line) :]
        self._torn = False

    def close(self) -> None:
        os.close(self._descriptor)


class Tail:
    """Reads the events of a journal that is still growing, or does not exist yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rest = b""
        self._offset = 0

    def read(self) -> list[Event]:
        """The events that came whole since the last call; none where the file is missing or cannot be read.

        Lines that do not parse are passed over.
        """
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                found = file.read()
        except OSError:
            return []
        self._offset += len(found)
        *lines, self._rest = (self._rest + found).split(b"\n")
        events = (decode_event(line) for line in lines)
        return [event for event in events if event is not None]


def last_event(path: Path) -> Event | None:
    """The last event that came whole, of a journal's last 64 KiB; None where there is none."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _LAST_BYTES))
        decoded = map(decode_event, reversed(file.read().split(b"\n")[:-1]))
        return next((event for event in decoded if event is not None), None)
    return None
