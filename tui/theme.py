"""Colours of the program: a dark and a light theme, and one for terminals with sixteen colours."""

from __future__ import annotations

from collections.abc import Mapping

from textual.color import Color
from textual.theme import BUILTIN_THEMES, Theme

from backends.registry import BackendEntry, backend_entries

DARK, LIGHT, SIXTEEN = "imgstore-dark", "imgstore-light", "imgstore-16"


def themes() -> tuple[Theme, ...]:
    """The three themes."""
    return (
        _theme(DARK, 0, "#14171a", "#191d21", "#272d33", "#d6d3cb", "#8d959c", "#5a656e", "#e2725b"),
        _theme(LIGHT, 1, "#f7f6f2", "#efeee9", "#dddcd5", "#26292c", "#5f666c", "#8a9299", "#b3261e"),
        _sixteen(),
    )


def _theme(
    name: str, palette: int, background: str, surface: str, panel: str, text: str, dim: str, line: str, error: str
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
        dark=name == DARK,
        variables={
            **_series(palette),
            **{f"scrollbar{part}": line for part in ("", "-hover", "-active")},
            **{f"scrollbar-{part}": background for part in ("background", "background-hover", "background-active")},
            "scrollbar-corner-color": background,
            "dim": dim,
            "line": line,
            "focus": text,
            "cursor": panel,
            "block-cursor-background": panel,
            "block-cursor-foreground": text,
            "block-cursor-text-style": "bold",
        },
    )


def _sixteen() -> Theme:
    """Textual's theme of sixteen colours in bright colours on black, whatever the terminal has as its default."""
    base, white, bright, black = BUILTIN_THEMES["ansi-dark"], "ansi_white", "ansi_bright_white", "ansi_black"
    return Theme(
        name=SIXTEEN,
        ansi=True,
        primary=bright,
        secondary=white,
        warning="ansi_bright_red",
        error="ansi_bright_red",
        success=bright,
        accent=bright,
        foreground=white,
        background=black,
        surface=black,
        panel=black,
        boost=black,
        variables={
            **base.variables,
            **_series(2),
            **dict.fromkeys(("dim", "line", "border-blurred", "scrollbar", "input-cursor-background"), white),
            **dict.fromkeys(("input-selection-background", "screen-selection-background"), white),
            **dict.fromkeys(("input-cursor-foreground", "scrollbar-background"), black),
            "focus": bright,
            "cursor": "ansi_blue",
            "block-cursor-text-style": "none",
        },
    )


def _series(palette: int) -> dict[str, str]:
    """The colour of each backend on dark, on light and on sixteen-colour terminals, and of what is no backend."""
    other = BackendEntry("other", "", "", "")
    return {f"series-{entry.name}": entry.colours[palette] for entry in (*backend_entries().values(), other)}


def palette(variables: Mapping[str, str]) -> tuple[tuple[str, int | tuple[int, int, int]], ...]:
    """The colours of charts by role: numbers of the sixteen colours where the theme names those, else RGB."""
    names = ["foreground", "dim", "line", *_series(0)]
    colours = {f"${name}": Color.parse(variables[name]) for name in names if name in variables}
    return tuple((role, colour.rgb if colour.ansi is None else colour.ansi) for role, colour in colours.items())


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
