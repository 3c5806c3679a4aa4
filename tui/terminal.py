"""What the terminal can show, and who may print on it."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.segment import Segment
from textual.app import App
from textual.color import Color
from textual.filter import LineFilter


def speaks_unicode(environ: Mapping[str, str]) -> bool:
    """Whether the terminal takes UTF-8: it does unless the locale is another one, such as ``C`` or Latin-1.

    Python itself sets ``LC_CTYPE`` to ``C.UTF-8`` where it finds the C locale, so that name alone says nothing.
    """
    ctype = environ.get("LC_CTYPE", "")
    locale = environ.get("LC_ALL") or (ctype if ctype != "C.UTF-8" else "") or environ.get("LANG", "")
    if environ.get("TERM") == "linux":
        return False
    return not locale or "utf" in locale.lower()


class NoColours(LineFilter):
    """Removes colours; bold, dim, underline and reverse stay."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [Segment(text, style and style.without_color, control) for text, style, control in segments]


class AsciiGlyphs(LineFilter):
    """Replaces what is not ASCII, cell by cell."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            Segment(text if text.isascii() else ascii_glyphs(text), style, control) for text, style, control in segments
        ]


_SIGNS = {
    "o": "●", "0": "○", "@": "◉", "^": "▲", "A": "△", "&": "◭", "#": "■█━┃", "%": "□", "=": "▣", "<": "◆‹", ">": "▸›❯",
    "v": "◇", "V": "◈", "X": "✚", "Y": "✛", "Z": "✜", "x": "✖×", "y": "✕", "z": "✗", "*": "★", "$": "☆", "!": "✪",
    "_": "▼", "p": "▷", "m": "▽", "h": "◁", "?": "◦",
    "|": "│▏▎▍▌▋▊▉", "-": "─–—", "+": "┤├┬┴└┘┌┐╭╮╰╯┼┏┓┗┛", ".": "·…", "u": "µ", "~": "▔▁",
}  # fmt: skip
_ASCII = str.maketrans({char: sign for sign, chars in _SIGNS.items() for char in chars})


@lru_cache(4096)
def ascii_glyphs(text: str) -> str:
    """``text`` in ASCII, as many cells wide as before."""
    return "".join(_ascii(char) for char in text.translate(_ASCII))


def _ascii(char: str) -> str:
    if char.isascii():
        return char
    if 0x2800 <= ord(char) <= 0x28FF:
        return "."
    plain = unicodedata.normalize("NFKD", char)[:1]
    return plain if plain.isascii() and cell_len(char) == 1 else "?" * cell_len(char)


_PRINTED = (1, 2)
"""The descriptors on which libraries print."""


def set_title(app: App[Any], title: str) -> None:
    """Name the terminal's window; ``title`` is plain text."""
    if app._driver is not None and not app.is_headless:
        app._driver.write(f"\x1b]2;{title}\x07")


@contextmanager
def own_terminal() -> Iterator[None]:
    """Draw on copies of the descriptors 1 and 2; what libraries print on these two does not reach the screen."""
    before = sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__
    for stream in before[:2]:
        stream.flush()
    out, err = (os.fdopen(os.dup(descriptor), "w", encoding="utf-8", errors="replace") for descriptor in _PRINTED)
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__ = out, err  # type: ignore[misc]
    _print_into(os.devnull)
    try:
        yield
    finally:
        for stream, descriptor in zip((out, err), _PRINTED, strict=True):
            stream.flush()
            os.dup2(stream.fileno(), descriptor)
            stream.close()
        sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__ = before  # type: ignore[misc]


@contextmanager
def output_to(log: Path) -> Iterator[None]:
    """Append what is printed on the descriptors 1 and 2 to ``log``; to be used within ``own_terminal``."""
    _print_into(log)
    try:
        yield
    finally:
        _print_into(os.devnull)


def _print_into(path: Path | str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    for descriptor in _PRINTED:
        os.dup2(file, descriptor)
    os.close(file)
