"""The folders that a run writes in, and the record of what it made there: that, and only that, is removed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path

RECORD = "made.jsonl"


class WorkFolder:
    """A new folder for a run's source and artefacts.

    Everything is written to its record before it is made, so that a crash leaves nothing unknown behind.

    Parameters
    ----------
    root
        A path that does not exist yet; missing folders above it are made, and removed again if empty.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        above = [folder for folder in root.parents if not folder.exists()]
        root.mkdir(parents=True)
        self._descriptor = os.open(root / RECORD, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        for folder in above:
            self._record("above", str(folder))

    def claim(self, name: str) -> Path:
        """The path for ``name``, written to the record; nothing is there yet."""
        self._record("made", name)
        return self.root / name

    def remove(self, name: str) -> None:
        """Remove one thing that was claimed before."""
        _remove(self.root / name)

    def remove_all(self) -> tuple[Path, ...]:
        """Remove what was made, then the folder itself; what could not be removed is returned."""
        os.close(self._descriptor)
        return clean(self.root)

    def _record(self, kind: str, name: str) -> None:
        os.write(self._descriptor, json.dumps({kind: name}).encode() + b"\n")


def clean(root: Path) -> tuple[Path, ...]:
    """Remove what the record in ``root`` lists, and ``root`` if nothing else is in it.

    Returns
    -------
    tuple of Path
        What is still there: what could not be removed, and ``root`` where somebody put something into it.
    """
    record = root / RECORD
    try:
        lines = record.read_text().splitlines()
    except OSError:
        return (root,) if root.exists() else ()
    above: list[Path] = []
    left: list[Path] = []
    for line in lines:
        with contextlib.suppress(ValueError, KeyError):
            found = json.loads(line)
            if "above" in found:
                above.append(Path(found["above"]))
                continue
            path = root / found["made"]
            try:
                _remove(path)
            except OSError:
                left.append(path)
    if left:
        return tuple(left)
    if {entry.name for entry in root.iterdir()} - {RECORD}:
        return (root,)
    record.unlink()
    root.rmdir()
    for folder in above:
        with contextlib.suppress(OSError):
            folder.rmdir()
    return ()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
