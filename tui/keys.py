"""Keys that mean the same in every list: arrows and the letters of vi."""

from __future__ import annotations

from textual.binding import Binding, BindingType

MOVES: list[BindingType] = [
    Binding("up,k", "cursor_up", "Up", show=False),
    Binding("down,j", "cursor_down", "Down", show=False),
    Binding("home,g", "first", "Top", show=False),
    Binding("end,G", "last", "Bottom", show=False),
]
SIDEWAYS: list[BindingType] = [
    Binding("left,h", "cursor_left", "Left: smaller sizes", show=False),
    Binding("right,l", "cursor_right", "Right: larger sizes", show=False),
]
