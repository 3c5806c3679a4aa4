"""Keys that mean the same in every list: arrows and the letters of vi."""

from __future__ import annotations

from textual.binding import Binding, BindingType

MOVES: list[BindingType] = [
    Binding("up,k", "cursor_up", "up", show=False),
    Binding("down,j", "cursor_down", "down", show=False),
    Binding("home,g", "first", "top", show=False),
    Binding("end,G", "last", "bottom", show=False),
]
SIDEWAYS: list[BindingType] = [
    Binding("left,h", "cursor_left", "left", show=False),
    Binding("right,l", "cursor_right", "right", show=False),
]
