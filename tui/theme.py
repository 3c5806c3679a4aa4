"""Themes, and what the terminal can show: colours, Unicode, its title."""

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
from rich.style import Style
from textual.app import App
from textual.color import Color
from textual.filter import LineFilter
from textual.theme import BUILTIN_THEMES, Theme

from backends.registry import backend_entries


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
    "o": "●", "0": "○", "@": "◉", "^": "▲", "A": "△", "&": "◭", "#": "■█━┃", "%": "□", "=": "▣", "<": "◆‹←",
    ">": "▸›❯→", "v": "◇▾", "V": "◈", "X": "✚", "Y": "✛", "Z": "✜", "x": "✖×", "y": "✕", "z": "✗", "*": "★",
    "$": "☆", "!": "✪", "_": "▼", "p": "▷", "m": "▽", "h": "◁", "?": "◦", "D": "⬢", "C": "⬡", "E": "⬣", "L": "▮",
    "I": "▯", "J": "◨", "|": "│▏▎▍▌▋▊▉", "-": "─–—", "+": "┤├┬┴└┘┌┐╭╮╰╯┼┏┓┗┛", ".": "·…", "u": "µ", "~": "▔▁",
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


DARK, LIGHT, SIXTEEN = "imgstore-dark", "imgstore-light", "imgstore-16"


def themes() -> tuple[Theme, ...]:
    """The three themes; that of sixteen colours is bright on black, whatever the terminal has as its default."""
    white, black, bright, red = "ansi_white", "ansi_black", "ansi_bright_white", "ansi_bright_red"
    sixteen = {
        **BUILTIN_THEMES["ansi-dark"].variables,
        **dict.fromkeys(("border-blurred", "scrollbar", "input-cursor-background"), white),
        **dict.fromkeys(("input-selection-background", "screen-selection-background"), white),
        **dict.fromkeys(("input-cursor-foreground", "scrollbar-background"), black),
        "cursor": "ansi_blue",
        "block-cursor-text-style": "none",
    }
    return (
        _theme(DARK, "#14171a", "#191d21", "#272d33", "#d6d3cb", "#d6d3cb", "#8d959c", "#5a656e", "#e2725b"),
        _theme(LIGHT, "#f7f6f2", "#efeee9", "#dddcd5", "#26292c", "#26292c", "#5f666c", "#8a9299", "#b3261e"),
        _theme(SIXTEEN, black, black, black, white, bright, white, white, red, **sixteen),
    )


def _theme(
    name: str, ground: str, surface: str, panel: str, text: str, bright: str, dim: str, line: str, error: str,
    **more: str,
) -> Theme:  # fmt: skip
    parts = ("", "-hover", "-active")
    return Theme(
        name=name,
        ansi=name == SIXTEEN,
        dark=name != LIGHT,
        primary=bright,
        secondary=dim,
        warning=error,
        error=error,
        success=bright,
        accent=bright,
        foreground=text,
        background=ground,
        surface=surface,
        panel=panel,
        boost=panel,
        variables={
            **{f"scrollbar{part}": line for part in parts},
            **{f"scrollbar-background{part}": ground for part in parts},
            "scrollbar-corner-color": ground,
            "cursor": panel,
            "block-cursor-background": panel,
            "block-cursor-foreground": text,
            "block-cursor-text-style": "bold",
            **more,
            **_series((DARK, LIGHT, SIXTEEN).index(name)),
            **{"dim": dim, "line": line, "focus": bright},
        },
    )


_COLOURS = {
    "yellow": ("#eddd5f", "#717500", "ansi_bright_yellow"),
    "blue": ("#5284e1", "#000b9e", "ansi_bright_blue"),
    "green": ("#c5f1c8", "#054700", "ansi_bright_green"),
    "magenta": ("#da4d87", "#3c1426", "ansi_bright_magenta"),
    "cyan": ("#50e0f1", "#27779e", "ansi_bright_cyan"),
    "brown": ("#af743f", "#966352", "ansi_bright_white"),
    "violet": ("#b79cf2", "#6a3fb5", "ansi_magenta"),
    "teal": ("#3fae8f", "#00695c", "ansi_cyan"),
    "": ("#d6d3cb", "#26292c", "ansi_white"),
}
"""The colours of backends by their names in the registry, on dark, on light and on sixteen-colour terminals."""


def _series(palette: int) -> dict[str, str]:
    """The colour of each backend, and of what is none."""
    names = {entry.name: entry.colour for entry in backend_entries().values()} | {"other": ""}
    return {f"series-{name}": _COLOURS.get(colour, _COLOURS[""])[palette] for name, colour in names.items()}


def palette(variables: Mapping[str, str]) -> tuple[tuple[str, int | tuple[int, int, int]], ...]:
    """The colours of charts by role: numbers of the sixteen colours where the theme names those, else RGB."""
    names = ["foreground", "dim", "line", *_series(0)]
    colours = {f"${name}": Color.parse(variables[name]) for name in names if name in variables}
    return tuple((role, colour.rgb if colour.ansi is None else colour.ansi) for role, colour in colours.items())


def style_of(app: App[Any], role: str) -> Style:
    """The style of a word such as ``bold``, or of a variable of the theme such as ``$dim``, for a ``rich.Text``."""
    colour = app.theme_variables.get(role.removeprefix("$"), "") if role.startswith("$") else ""
    return Style(color=Color.parse(colour).rich_color) if colour else Style.parse("" if "$" in role else role)


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
