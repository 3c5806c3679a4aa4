"""The folders that a run writes in, and the record of what it made there: that, and only that, is removed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from backends.errors import NotAllowed

if TYPE_CHECKING:
    from collections.abc import Callable

RECORD = "made.jsonl"


class WorkFolder:
    """A new folder for a run's source and artefacts.

    Everything is written to its record before it is made, so that a crash leaves nothing unknown behind.

    Parameters
    ----------
    root
        A path that does not exist yet; missing folders above it are made, and removed again if empty.

    Raises
    ------
    NotAllowed
        It cannot be made, or is there.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        above = [folder for folder in root.parents if not folder.exists()]
        try:
            root.mkdir(mode=0o700, parents=True)
            self._descriptor = os.open(root / RECORD, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
            for folder in above:
                self._record("above", str(folder))
        except OSError as error:
            for undo in ((root / RECORD).unlink, *(folder.rmdir for folder in (root, *above))):
                with contextlib.suppress(OSError):
                    undo()
            raise NotAllowed(f"{root} cannot be made ({error.strerror}): choose another folder to write in.") from None

    def claim(self, name: str) -> Path:
        """The path for ``name``, written to the record; nothing is there yet."""
        self._record("made", name)
        return self.root / name

    def remove(self, name: str) -> None:
        """Remove one thing that was claimed before."""
        _remove(self.root / name)

    def remove_all(self, tick: Callable[[], None] = lambda: None) -> tuple[Path, ...]:
        """Remove what was made, then the folder itself; see ``clean``."""
        os.close(self._descriptor)
        return clean(self.root, tick)

    def _record(self, kind: str, name: str) -> None:
        os.write(self._descriptor, json.dumps({kind: name}).encode() + b"\n")


def clean(root: Path, tick: Callable[[], None] = lambda: None) -> tuple[Path, ...]:
    """Remove what the record in ``root`` lists, and ``root`` if nothing else is in it.

    Parameters
    ----------
    tick
        Called after each thing that was removed, of which there may be a hundred thousand files each.

    Returns
    -------
    tuple of Path
        What is still there: what could not be removed, and ``root`` where somebody put something into it.
    """
    try:
        made, above = _recorded(root)
    except FileNotFoundError:
        return (root,) if os.path.lexists(root) else ()
    except OSError:
        return (root,)
    left: list[Path] = []
    for path in made:
        try:
            _remove(path)
        except OSError:
            left.append(path)
        tick()
    if left:
        return tuple(left)
    try:
        if {entry.name for entry in root.iterdir()} - {RECORD}:
            return (root,)
        (root / RECORD).unlink(missing_ok=True)
        root.rmdir()
    except FileNotFoundError:  # somebody else cleans too
        return ()
    except OSError:
        return (root,)
    with contextlib.suppress(OSError):
        for folder in above:
            folder.rmdir()
    return ()


def _recorded(root: Path) -> tuple[list[Path], list[Path]]:
    """What the record names in ``root``, and the folders made above it; lines that say neither are passed over."""
    made, above = [], []
    for line in (root / RECORD).read_bytes().splitlines():
        with contextlib.suppress(ValueError):
            match json.loads(line):
                case {"above": str(name)} if Path(name) in root.parents:
                    above.append(Path(name))
                case {"made": str(name)} if name not in ("", "..") and name == Path(name).name:
                    made.append(root / name)
    return made, above


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
