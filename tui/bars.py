"""Horizontal bars as rows of text, to an eighth of a cell."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rich.cells import cell_len

from tui.canvas import Canvas, Row


@dataclass(frozen=True, slots=True)
class Bar:
    """One horizontal bar; ``note`` stands behind its value."""

    name: str
    mark: str
    role: str
    value: float
    text: str
    note: str = ""


def draw_bars(bars: tuple[Bar, ...], width: int, height: int) -> list[Row]:
    """Horizontal bars from zero, one row each with air between them where there is room."""
    canvas = Canvas(max(0, width), max(0, height))
    if not bars or width < 20:
        return canvas.rows()
    names = max(cell_len(bar.name) for bar in bars)
    texts = max(cell_len(bar.text) for bar in bars)
    notes = max(cell_len(bar.note) for bar in bars)
    room = max(1, width - names - texts - notes - 9)
    most = max((bar.value for bar in bars if math.isfinite(bar.value)), default=0.0)
    step = 2 if len(bars) * 2 <= height + 1 else 1
    for index, bar in enumerate(bars[:height]):
        row = index * step
        canvas.put(1, row, bar.mark, bar.role)
        canvas.put(3, row, bar.name, "")
        share = bar.value / most if most > 0 and math.isfinite(bar.value) else 0.0
        column = names + 5
        drawn = _bar(share * room)
        canvas.put(column, row, drawn, bar.role)
        canvas.put(column + len(drawn) + 1, row, bar.text, "bold")
        canvas.put(column + len(drawn) + 3 + cell_len(bar.text), row, bar.note, "$dim")
    return canvas.rows()


def _bar(cells: float) -> str:
    eighths = max(1, round(cells * 8))
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()
