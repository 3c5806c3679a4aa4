"""Which key does what.  Lower case acts here, capitals go elsewhere; control and function keys are aliases only."""

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
WORKBENCH: list[BindingType] = [
    Binding("enter", "next_step", "next", id="next", tooltip="Next sensible step"),
    Binding("escape", "back", "back", show=False, id="back", tooltip="Back"),
    Binding("x", "stop", "stop", id="stop", tooltip="Stop; what finished stays"),
    Binding("left_square_bracket", "aspect(-1)", "aspect", show=False, key_display="[ ]", id="aspect-before"),
    Binding("right_square_bracket", "aspect(1)", "aspect", key_display="[ ]", id="aspect", tooltip="What is looked at"),
    Binding("o", "ask('open')", "open", id="open", tooltip="Open a dataset"),
    Binding("w", "ask('where')", "where", id="where", tooltip="Where the run writes"),
    Binding("p", "ask('plan')", "plan", id="plan", tooltip="Sizes, repeats, ..."),
    Binding("r", "run", "run", id="run", tooltip="Run the plan"),
    Binding("space", "pick", "pick", id="pick", tooltip="Tick or untick"),
    Binding("c", "codec", "codec", id="codec", tooltip="Next codec"),
    Binding("plus,equals_sign", "ask('add')", "add", key_display="+", id="add", tooltip="Add a configuration"),
    Binding("minus", "remove", "remove", id="remove", tooltip="Remove a configuration"),
    Binding("s", "scale", "scale", id="scale", tooltip="Linear or logarithmic"),
    Binding("t", "look('numbers')", "table", id="table", tooltip="All numbers, or chart"),
    Binding("d", "disk", "disk", id="disk", tooltip="Disk, trade-off, chart"),
    Binding("v", "look('verdict')", "verdict", id="verdict", tooltip="All that is decided"),
    Binding("f", "full", "full", id="full", tooltip="This panel alone"),
    Binding("a", "article", "article", id="article", tooltip="The article's experiment"),
    Binding("e", "ask('export')", "export", id="export", tooltip="Write a report"),
    Binding("y", "copy", "copy", show=False, id="copy", tooltip="Copy the command line"),
    Binding("tab", "app.focus_next", "panel", show=False, key_display="Tab", tooltip="Next panel"),
    Binding("shift+tab", "app.focus_previous", "panel", show=False, key_display="Tab", tooltip="Next panel"),
    *(Binding(str(n), f"panel({n})", "panels", show=False, tooltip="To a panel") for n in range(1, 6)),
]
"""In the order of the footer; the words of the help are the tooltips."""
