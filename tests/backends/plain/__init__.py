"""How the plain libraries read what the backends write: the lines that the README shows, run as they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def plain_lines(name: str) -> str:
    """The lines for one backend: ``path`` goes in, ``images`` and ``labels`` come out."""
    return Path(__file__).with_name(f"{name}.txt").read_text()


def run_plain_lines(name: str, path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Run them on a container."""
    names: dict[str, Any] = {"path": str(path)}
    exec(plain_lines(name), names)
    return names["images"], names["labels"]
