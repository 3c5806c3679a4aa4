"""Colours, and what is left of them on terminals with sixteen, with none, or without Unicode."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter
from textual.theme import Theme

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from textual.app import App


DARK, LIGHT, SIXTEEN = "imgstore-dark", "imgstore-light", "imgstore-16"

_DARK_SERIES = {
    "files": "#eddd5f",
    "lmdb": "#5284e1",
    "hdf5": "#c5f1c8",
    "npy": "#da4d87",
    "sqlite": "#50e0f1",
    "tar": "#af743f",
    "other": "#d6d3cb",
}
_LIGHT_SERIES = {
    "files": "#717500",
    "lmdb": "#000b9e",
    "hdf5": "#054700",
    "npy": "#3c1426",
    "sqlite": "#27779e",
    "tar": "#966352",
    "other": "#26292c",
}
"""The worst pair of each palette is 25 apart (CIE 1976), of the dark one 32, also with colour deficiencies."""

_SIXTEEN_SERIES = {
    "files": "ansi_bright_yellow",
    "lmdb": "ansi_bright_blue",
    "hdf5": "ansi_bright_green",
    "npy": "ansi_bright_magenta",
    "sqlite": "ansi_bright_cyan",
    "tar": "ansi_bright_white",
    "other": "ansi_white",
}


def themes() -> tuple[Theme, ...]:
    """The three themes: dark and light for 256 colours and more, and one mapped by hand to sixteen."""
    return (
        _theme(DARK, "#14171a", "#191d21", "#272d33", "#d6d3cb", "#8d959c", "#5a656e", "#e2725b", _DARK_SERIES, True),
        _theme(
            LIGHT, "#f7f6f2", "#efeee9", "#dddcd5", "#26292c", "#5f666c", "#8a9299", "#b3261e", _LIGHT_SERIES, False
        ),
        _sixteen(),
    )


def _theme(
    name: str,
    background: str,
    surface: str,
    panel: str,
    text: str,
    dim: str,
    line: str,
    error: str,
    series: Mapping[str, str],
    dark: bool,
) -> Theme:
    return Theme(
        name=name,
        primary=text,
        secondary=dim,
        warning=error,
        error=error,
        success=text,
        accent=text,
        foreground=text,
        background=background,
        surface=surface,
        panel=panel,
        boost=panel,
        dark=dark,
        variables=_roles(dim, line, text, "#a9bccb" if dark else "#4a5a68", background, series)
        | {f"scrollbar{part}": line for part in ("", "-hover", "-active")}
        | {f"scrollbar-background{part}": background for part in ("", "-hover", "-active")}
        | {"scrollbar-corner-color": background}
        | {
            "cursor": panel,
            "block-cursor-background": panel,
            "block-cursor-foreground": text,
            "block-cursor-text-style": "bold",
        },
    )


def _sixteen() -> Theme:
    return Theme(
        name=SIXTEEN,
        ansi=True,
        primary="ansi_bright_white",
        secondary="ansi_white",
        warning="ansi_bright_red",
        error="ansi_bright_red",
        success="ansi_bright_white",
        accent="ansi_bright_white",
        foreground="ansi_white",
        background="ansi_black",
        surface="ansi_black",
        panel="ansi_black",
        boost="ansi_black",
        variables=_roles("ansi_white", "ansi_white", "ansi_bright_white", "ansi_white", "ansi_black", _SIXTEEN_SERIES)
        | {
            "cursor": "ansi_blue",
            "ansi-background": "ansi_black",
            "ansi-foreground": "ansi_white",
            "border-blurred": "ansi_white",
            "input-cursor-text-style": "none",
            "input-selection-background": "ansi_white",
            "input-selection-foreground": "ansi_black",
            "screen-selection-background": "ansi_white",
            "screen-selection-foreground": "ansi_black",
            "block-cursor-background": "ansi_white",
            "block-cursor-foreground": "ansi_black",
            "block-cursor-text-style": "none",
            "input-cursor-background": "ansi_white",
            "input-cursor-foreground": "ansi_black",
            "scrollbar": "ansi_white",
            "scrollbar-background": "ansi_black",
        },
    )


def _roles(dim: str, line: str, focus: str, chip: str, ground: str, series: Mapping[str, str]) -> dict[str, str]:
    roles = {"dim": dim, "line": line, "focus": focus, "chip": chip, "ground": ground}
    return roles | {f"series-{name}": colour for name, colour in series.items()}


def palette(variables: Mapping[str, str]) -> tuple[tuple[str, int | tuple[int, int, int]], ...]:
    """The colours of charts by role: numbers of the sixteen colours where the theme names those, else RGB."""
    names = ["foreground", "dim", "line", *(f"series-{name}" for name in _DARK_SERIES)]
    colours = {f"${name}": Color.parse(variables[name]) for name in names if name in variables}
    return tuple((role, one.rgb if one.ansi is None else one.ansi) for role, one in colours.items())


def choose_theme(environ: Mapping[str, str]) -> str:
    """The theme that the terminal can show, as its environment tells."""
    system = environ.get("TEXTUAL_COLOR_SYSTEM", "auto")
    if system != "auto":
        return SIXTEEN if system in ("standard", "windows") else DARK
    if "NO_COLOR" in environ:
        return SIXTEEN
    term = environ.get("TERM", "")
    if environ.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return DARK
    rich = term.endswith(("-256color", "-direct", "-kitty")) or term in ("alacritty", "foot", "wezterm")
    return DARK if rich else SIXTEEN


def speaks_unicode(environ: Mapping[str, str]) -> bool:
    """Whether the terminal takes UTF-8: where the locale says nothing, it does; ``C`` and Latin ones do not.

    Python itself sets ``LC_CTYPE`` to ``C.UTF-8`` where it finds the C locale, so that name alone says nothing.
    """
    ctype = environ.get("LC_CTYPE", "")
    said = environ.get("LC_ALL") or (ctype if ctype != "C.UTF-8" else "") or environ.get("LANG", "")
    if environ.get("TERM") == "linux":
        return False
    return not said or "utf" in said.lower()


class NoColours(LineFilter):
    """Takes every colour out and leaves bold, dim, underline and reverse."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [Segment(text, _bare(style), control) for text, style, control in segments]


@lru_cache(1024)
def _bare(style: Style | None) -> Style | None:
    return None if style is None else style.without_color


class AsciiGlyphs(LineFilter):
    """Puts an ASCII sign in the place of every other one, cell by cell."""

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
