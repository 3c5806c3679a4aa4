"""The events of a job on disk: appended one line at a time, and followed while they grow."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from backends.jobs.events import decode_event, encode_event

if TYPE_CHECKING:
    from pathlib import Path

    from backends.jobs.events import Event

LINE_BYTES = 1 << 16
"""A line is never longer: one ``write`` of up to this size is not torn by another."""


class Journal:
    """Appends events; one event is one ``write``."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._torn = False

    def append(self, event: Event) -> None:
        """Write one event.

        Raises
        ------
        ValueError
            The event is longer than ``LINE_BYTES``.
        OSError
            It could not be written whole; the next one starts on a line of its own.
        """
        line = (b"\n" if self._torn else b"") + encode_event(event)
        if len(line) > LINE_BYTES:
            raise ValueError(f"an event of {len(line):,} bytes is too long for the journal")
        try:
            self._torn = os.write(self._descriptor, line) != len(line)
        except OSError:
            self._torn = True
            raise

    def close(self) -> None:
        os.close(self._descriptor)


class Tail:
    """Reads the events of a journal that is still growing, or does not exist yet.

    Parameters
    ----------
    last
        Only the events that start in the last so many bytes; None for all.
    """

    def __init__(self, path: Path, last: int | None = None) -> None:
        self._path = path
        self._rest = b""
        size = path.stat().st_size if last is not None and path.exists() else 0
        self._offset = max(0, size - (last or 0))

    def read(self) -> list[Event]:
        """The events that came whole since the last call; lines that do not parse are passed over."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                found = file.read()
        except FileNotFoundError:
            return []
        self._offset += len(found)
        *lines, self._rest = (self._rest + found).split(b"\n")
        events = (decode_event(line) for line in lines)
        return [event for event in events if event is not None]
