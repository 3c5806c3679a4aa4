"""Makes any string from outside safe to show: class names, paths, host names, sentences of errors.

What comes out is plain text for ``Content`` and ``Text``; it must never pass through a markup parser.
"""

from __future__ import annotations

import json
import unicodedata
from functools import lru_cache

from rich.cells import cell_len, set_cell_size

LIMIT = 200
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that move the cursor, change direction, join cells or mean nothing to a terminal."""


@lru_cache(4096)
def safe_text(value: str, limit: int = LIMIT) -> str:
    """``value`` as one line of at most ``limit`` characters that a terminal prints and does not obey.

    Control, format and bidirectional characters, lone surrogates and line separators become ``\\x1b`` or
    ``\\u202e``; everything else stays as it is, brackets and backslashes too.
    """
    cut = value if len(value) <= limit else value[: max(0, limit - 1)] + "…"
    if cut.isascii() and cut.isprintable():
        return cut
    shown = "".join(_escaped(char) if unicodedata.category(char) in _UNSAFE else char for char in cut)
    return shown if len(shown) <= limit else shown[: max(0, limit - 1)] + "…"


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def json_text(value: object) -> str:
    """``value`` as JSON, in which whatever a terminal would obey is escaped."""
    return json.dumps(value, indent=1) + "\n"


def fit(text: str, width: int, *, right: bool = False) -> str:
    """Exactly ``width`` cells: padded, or cut with an ellipsis.  ``right`` aligns to the right."""
    if width <= 0:
        return ""
    if cell_len(text) > width:
        text = set_cell_size(text, width - 1).rstrip() + "…"
    gap = " " * (width - cell_len(text))
    return gap + text if right else text + gap


def middle(text: str, width: int) -> str:
    """At most ``width`` cells, cut in the middle: names that differ at their start or their end stay different."""
    if cell_len(text) <= width:
        return text
    head = set_cell_size(text, width // 3).rstrip()
    while text and cell_len(text) > width - 1 - cell_len(head):
        text = text[1:]
    return f"{head}…{text}" if width > 0 else ""
