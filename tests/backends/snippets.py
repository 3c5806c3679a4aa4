"""The README's lines that read each container without this program, run as they are printed there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Everything = tuple[NDArray[np.uint8] | list[NDArray[np.uint8]], NDArray[np.int64]]

README = Path(__file__).parents[2] / "README.md"
_SECTION = README.read_text(encoding="utf-8").split("## Stores")[1].split("```python\n")[1].split("```")[0]
IMPORTS, *_BLOCKS = re.split(r"^# (.+)\n", _SECTION, flags=re.MULTILINE)
SNIPPETS: dict[str, str] = dict(zip(_BLOCKS[::2], _BLOCKS[1::2], strict=True))
"""By configuration, such as ``lmdb+raw``."""


def read_by_snippet(configuration: str, path: Path) -> Everything:
    """All images and labels of the container at ``path``."""
    names: dict[str, Any] = {"path": str(path)}
    exec(IMPORTS + SNIPPETS[configuration], names)
    return names["images"], names["labels"]
