"""The folder of a job: what it is to do, its lock, its events, its log."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from backends import limits
from backends.bench.disk import fsync, nearest_existing, write_durably
from backends.bench.json_files import from_builtins, read_json, to_builtins
from backends.bench.plan import Plan
from backends.errors import ImgstoreError, NotAllowed, OlderFormat
from backends.runs.events import Event, decode_event, encode_event, read_plan

if TYPE_CHECKING:
    from backends.runs.conversion import ConversionSpec

SPEC, EVENTS, LOG, LOCK = "spec.json", "events.jsonl", "log.txt", "lock"
CANCEL, PAUSE, HEARD, CLEANED = "cancel", "pause", "heard", "cleaned"
"""Empty files: somebody asks the job to stop, or to wait; it has seen the former; what a died job left was removed."""
SUMMARY = "summary.json"
FILES = (EVENTS, LOG, LOCK, CANCEL, PAUSE, HEARD, CLEANED, SUMMARY, f".{SUMMARY}.partial", f".{SPEC}.partial", SPEC)
"""Everything that is made in the folder of a job; its spec, which makes it one, is removed last."""

_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_READ_BYTES = 1 << 26
_TAIL_BYTES = 1 << 16


def new_folder(jobs: Path, spec: Plan | ConversionSpec) -> Path:
    """Make the folder of a new job below ``jobs``, with its spec in it.  Raises NotAllowed where it cannot."""
    folder = jobs / (time.strftime("%Y%m%d-%H%M%S-") + "".join(secrets.choice(_LETTERS) for _ in range(4)))
    try:
        _make_private(jobs)
        folder.mkdir(mode=0o700)
        kind = ("bench", "plan") if isinstance(spec, Plan) else ("convert", "conversion")
        fields = asdict(spec) if isinstance(spec, Plan) else to_builtins(spec)
        text = json.dumps({"kind": kind[0], "created": time.time(), kind[1]: fields}, indent=1)
        write_durably(folder / SPEC, text.encode())
    except OSError as error:
        with contextlib.suppress(OSError):
            folder.rmdir()
        reason = f"cannot be made ({error.strerror or error}): set XDG_STATE_HOME elsewhere."
        raise NotAllowed(f"the job's folder {folder} {reason}") from None
    return folder


def _make_private(jobs: Path) -> None:
    """Make the folder of all jobs, or take its permissions from others where it is ours: it says what to remove."""
    above = nearest_existing(jobs)
    jobs.mkdir(parents=True, exist_ok=True, mode=0o700)
    for folder in jobs.parents[: len(jobs.parents) - len(above.parents)]:  # of those that are new, the names
        fsync(folder)
    descriptor = os.open(jobs, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if status.st_uid == os.geteuid() and status.st_mode & 0o077:
            with contextlib.suppress(PermissionError):  # a filesystem without permissions
                os.fchmod(descriptor, 0o700)
    finally:
        os.close(descriptor)


def names_below(jobs: Path) -> list[str]:
    """The names of what lies in ``jobs`` and belongs to its owner, the newest first; none where it does not exist.

    Raises NotAllowed where it cannot be listed.
    """
    try:
        owner = jobs.stat().st_uid
        return sorted((path.name for path in jobs.iterdir() if owner_of(path) == owner), reverse=True)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise NotAllowed(f"{jobs} cannot be listed ({error.strerror}): set XDG_STATE_HOME elsewhere.") from None


def owner_of(path: Path) -> int | None:
    """The owner of what lies at ``path``, a link among it; None where that is gone."""
    with contextlib.suppress(FileNotFoundError):
        return path.lstat().st_uid
    return None


def read_spec(folder: Path) -> tuple[Plan | ConversionSpec, float]:
    """The plan of a run or what a conversion is to do, and when the job was made (seconds since the epoch).

    Raises OlderFormat where another version made the job, with a spec that this one cannot read, and ImgstoreError
    where the folder is not a job's.
    """
    try:
        spec = read_json(folder / SPEC, limits.JSON_BYTES)
        created = float(spec["created"])
        time.localtime(created)
        is_run = spec.get("kind") != "convert"
        fields = spec["plan" if is_run else "conversion"]
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        raise ImgstoreError(f"{folder} is not the folder of a job: its {SPEC} is missing or broken.") from None
    try:
        if is_run:
            return read_plan(fields), created
        from backends.runs.conversion import ConversionSpec  # numpy comes with it

        return from_builtins(fields, ConversionSpec), created
    except (ValueError, KeyError, TypeError):
        how = "read it with the version that made it, or delete it."
        raise OlderFormat(f"the job {folder.name} is of an older format: {how}", created) from None


def read_run_plan(folder: Path) -> Plan:
    """The plan of a run.  Raises ImgstoreError as ``read_spec`` does, and where the job is a conversion."""
    spec, _ = read_spec(folder)
    if isinstance(spec, Plan):
        return spec
    raise ImgstoreError(f"{folder.name} is a conversion to {spec.destination}, not a run: imgstore-tui shows it.")


def hold_lock(folder: Path) -> int:
    """Take the job's lock, until the descriptor returned is closed.  Raises ImgstoreError where it was held before."""
    if (folder / LOCK).exists():
        raise ImgstoreError(f"the job {folder.name} was begun before: start a new one.")
    unseen = folder / f"{LOCK}.{os.getpid()}"  # appears as the lock once it is held
    descriptor = os.open(unseen, os.O_RDWR | os.O_CREAT, 0o644)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    unseen.rename(folder / LOCK)
    return descriptor


def lock_holder(folder: Path) -> int | None:
    """The process that holds the job's lock; None where nobody does."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        text = os.read(descriptor, 32).decode(errors="replace").strip()
        return int(text) if text.isdigit() else 0
    finally:
        os.close(descriptor)
    return None


def last_log_lines(folder: Path) -> str:
    """The last lines of a job's log, on one line, for when it died."""
    try:
        with (folder / LOG).open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 4096))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    return " / ".join(line.strip() for line in lines if line.strip())[-300:]


class Journal:
    """Appends events to ``events.jsonl``, for the one process that does the job."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._torn = False

    def append(self, event: Event) -> None:
        """Write one event.  Raises OSError where that was not done whole; the next one has a line of its own."""
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
        """The whole events since the last call, without broken lines and overlong ones; none where there is no file."""
        events: list[Event] = []
        most = limits.JSON_BYTES.value
        with contextlib.suppress(OSError), self._path.open("rb") as file:
            file.seek(self._offset)
            while data := file.read(_READ_BYTES):
                self._offset += len(data)
                *lines, self._rest = (self._rest + data).split(b"\n")
                self._rest = self._rest[: most + 1]
                events += [event for line in lines if len(line) <= most and (event := decode_event(line))]
        return events


def last_event(path: Path) -> Event | None:
    """The last whole event in a journal's last 64 KiB; None where there is none."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
        decoded = map(decode_event, reversed(file.read().split(b"\n")[:-1]))
        return next((event for event in decoded if event is not None), None)
    return None
