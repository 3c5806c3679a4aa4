"""Keys of the workbench: what each does, which of them act now, and what Enter does next.

Lower case acts here, capitals go elsewhere; control and function keys are aliases only.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from textual.binding import Binding, BindingType

if TYPE_CHECKING:
    from tui.screens.workbench import Workbench

MOVES: list[BindingType] = [
    Binding("up,k", "cursor_up", "Up", show=False),
    Binding("down,j", "cursor_down", "Down", show=False),
    Binding("home,g", "first", "Top", show=False),
    Binding("end,G", "last", "Bottom", show=False),
    Binding("pageup", "page_up", "Page up", show=False, key_display="PgUp"),
    Binding("pagedown", "page_down", "Page down", show=False, key_display="PgDn"),
]
SCROLLS: list[BindingType] = [
    Binding("k", "scroll_up", "Up", show=False),
    Binding("j", "scroll_down", "Down", show=False),
    Binding("g", "scroll_home", "Top", show=False),
    Binding("G", "scroll_end", "Bottom", show=False),
]
"""For text that is scrolled, besides the arrows and pages of every scrollable container."""
SIDEWAYS: list[BindingType] = [
    Binding("left,h", "cursor_left", "Left: smaller sizes", show=False),
    Binding("right,l", "cursor_right", "Right: larger sizes", show=False),
]
WORKBENCH: list[BindingType] = [
    Binding("enter", "next_step", "next", key_display="Enter", id="next", tooltip="Next step"),
    Binding("escape", "back", "back", key_display="Esc", id="back", tooltip="Back"),
    Binding("x", "stop", "stop", id="stop", tooltip="Stop; what finished stays"),
    Binding("left_square_bracket", "aspect(-1)", "operation", key_display="[ ]", tooltip="Operation"),
    Binding("right_square_bracket", "aspect(1)", "operation", key_display="[ ]", id="aspect", tooltip="Operation"),
    Binding("o", "ask('open')", "open", id="open", tooltip="Open a dataset"),
    Binding("w", "ask('where')", "where", id="where", tooltip="Where the run writes"),
    Binding("p", "ask('plan')", "plan", id="plan", tooltip="Sizes, repeats, ..."),
    Binding("r", "run", "run", id="run", tooltip="Run the plan"),
    Binding("space", "edit('toggle')", "pick", id="pick", tooltip="Tick or untick"),
    Binding("c", "ask('codec')", "codec", id="codec", tooltip="Choose a codec"),
    Binding("plus,equals_sign", "ask('add')", "add", key_display="+", id="add", tooltip="Add a configuration"),
    Binding("minus", "edit('remove')", "remove", key_display="-", id="remove", tooltip="Remove a configuration"),
    Binding("s", "scale", "scale", id="scale", tooltip="Linear or logarithmic"),
    Binding("t", "look('numbers')", "table", id="table", tooltip="All numbers, or chart"),
    Binding("d", "disk", "disk", id="disk", tooltip="Disk, trade-off, chart"),
    Binding("v", "look('verdict')", "verdict", id="verdict", tooltip="Verdict"),
    Binding("f", "full", "full", id="full", tooltip="Charts or verdict alone"),
    Binding("a", "edit('article')", "article", id="article", tooltip="The article's experiment"),
    Binding("C", "convert", "convert", id="convert", tooltip="Convert to a store"),
    Binding("i", "images", "images", id="images", tooltip="Look at images"),
    Binding("e", "ask('export')", "export", id="export", tooltip="Write a report"),
    Binding("y", "copy", "copy", id="copy", tooltip="Copy the command line"),
    Binding("tab", "app.focus_next", "panel", key_display="Tab", tooltip="Next panel"),
    Binding("shift+tab", "app.focus_previous", "panel", key_display="Tab", tooltip="Next panel"),
    *(Binding(str(n), f"panel({n})", "panels", show=False, tooltip="To a panel") for n in range(1, 6)),
]
"""The words of the help are the tooltips."""

TABLE_HINTS = ("edit('toggle')", "ask('codec')", "ask('add')", "edit('remove')")
CHART_HINTS = ("scale", "look('numbers')", "disk", "look('verdict')", "full")
"""Actions whose keys stand in the bottom edge of their panel."""


class View(StrEnum):
    """What panel 4 shows."""

    START = "start"
    PLAN = "plan"
    CHART = "chart"
    NUMBERS = "numbers"
    DISK = "disk"
    TRADE_OFF = "trade-off"
    VERDICT = "verdict"
    ERROR = "error"


RESULTS = (View.CHART, View.NUMBERS, View.DISK, View.TRADE_OFF, View.VERDICT)

_TABLE = frozenset({"toggle", "codec", "remove"})
_EDITS = _TABLE | {"add", "where", "plan", "run", "copy", "article"}


def acts(action: str, state: Workbench) -> bool:
    """Whether a key of the workbench does something now; for ``look``, ``ask`` and ``edit`` it is their parameter."""
    run, view = state.run, state.view
    results = run is not None and view in RESULTS
    if action in _EDITS:
        can_edit = state.facts is not None and not state.busy and view is not View.START
        if action in _TABLE and not state.table_has_focus:
            return False  # the row under the cursor is not marked then, or not even on the screen
        if action == "article":
            return can_edit and state.facts is not None and state.facts.image_shape is not None
        return can_edit and (action == "copy" or run is None or not run.saved)
    match action:
        case "convert":
            return can_convert(state) or (state.conversion is not None and state.conversion.alive)
        case "images":
            return can_convert(state) and not state.busy  # to read them would disturb what is measured
        case "stop":
            return state.busy and run is not None and run.can_stop and view is not View.START
        case "open":
            return not state.busy or view is View.START
        case "next_step":
            return next_step(state) is not None
        case "aspect":
            return results and len(state.aspects) > 1
        case "export":
            return results and not state.busy
        case "numbers" | "disk" | "verdict":
            return results
        case "scale":
            return results and state.has_scale
        case "back":
            return bool(state.opening) or view is not View.START
        case "full":
            return view is not View.START
    return True


def next_step(state: Workbench) -> tuple[str, str] | None:
    """What Enter does: the footer's word for it and the action; None while there is nothing to do but watch."""
    if state.failure_to_explain and state.view not in (View.START, View.PLAN):
        return "why it failed", "app.failures"
    match state.view:
        case View.START:
            # What is typed while the dataset of the command line is read must not open another one.
            return None if state.opening else ("choose", "choose")
        case View.ERROR:
            return ("plan", "plan_again") if state.facts else ("back", "back")
        case View.PLAN:
            # Nothing starts before the screen has said what it will take.
            return ("run", "run") if state.facts and state.words else None
    if state.busy or state.run is None:
        return None
    if state.view is not View.VERDICT:
        return "verdict", "look('verdict')"
    verdict = state.run.verdict
    if can_convert(state) and verdict.conversion is not None and verdict.recommended is not None:
        return f"convert to {verdict.recommended.method}", "convert"
    if can_convert(state) and verdict.outcome == "demo":
        return "convert", "convert"
    return "export", "ask('export')"


def can_convert(state: Workbench) -> bool:
    """Whether a dataset is open that can be converted: that of a saved result may be on another machine."""
    return state.facts is not None and not (state.run is not None and state.run.saved)


def after_disk(view: View) -> View:
    """What the key of the disk shows next."""
    return {View.DISK: View.TRADE_OFF, View.TRADE_OFF: View.CHART}.get(view, View.DISK)


def word_of(action: str, state: Workbench) -> str:
    """The footer's word for an action whose meaning depends on what is on show; empty for all others."""
    view = state.view
    match action:
        case "next_step":
            step = next_step(state)
            return step[0] if step else ""
        case "scale":
            return "linear" if state.log_scale else "log"
        case "disk":
            return str(after_disk(view)).replace("chart", "charts")
        case "back":
            return "charts" if view in RESULTS and view is not View.CHART else "stop reading" if state.opening else ""
        case "look('numbers')" | "look('verdict')":
            return "charts" if action == f"look('{view}')" else ""
    return ""


def footer_actions(state: Workbench) -> tuple[str, ...]:
    """The actions for the footer, the most useful first; those that cannot act now are left out there."""
    if state.view is View.START:
        return ("next_step", "ask('open')", "history", *(("back",) if state.opening else ()))
    if state.busy:
        return ("stop", "aspect(1)", "app.focus_next", "history")
    if state.view is View.VERDICT:
        return ("next_step", "ask('export')", "back", "aspect(1)", "history", "ask('plan')", "ask('open')")
    if state.view in RESULTS:
        last = ("history", "ask('plan')", "convert", "images", "ask('open')", "ask('where')")
        return ("next_step", "aspect(1)", "ask('export')", *last)
    return ("next_step", "ask('where')", "ask('plan')", "ask('open')", "edit('article')", "history", "images", "copy")
