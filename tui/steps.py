"""Which keys act now and what Enter does next, as functions of the situation alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class View(StrEnum):
    """What the chart's place shows."""

    START = "start"
    PLAN = "plan"
    CHART = "chart"
    NUMBERS = "numbers"
    DISK = "disk"
    VERDICT = "verdict"
    ERROR = "error"


FIGURES = (View.CHART, View.NUMBERS, View.DISK, View.VERDICT)
_EDITS = frozenset({"pick", "codec", "add", "remove", "where", "plan", "run", "copy"})


@dataclass(frozen=True, slots=True)
class Situation:
    """What decides which keys act.

    Attributes
    ----------
    has_dataset, has_run, busy, opening
        Whether a dataset is open, a run is on show, it still goes on, and a dataset is being read.
    operations
        Of the run on show, else of the draft.
    """

    view: View
    has_dataset: bool = False
    has_run: bool = False
    busy: bool = False
    opening: bool = False
    stopping: bool = False
    operation: str = "store"
    operations: tuple[str, ...] = ("store", "read")


@dataclass(frozen=True, slots=True)
class Step:
    """What Enter does, and the footer's word for it.

    ``kind`` is ``choose``, ``run``, ``plan``, ``back`` or ``show``; a step that shows has what and how.
    """

    word: str
    kind: str
    operation: str = ""
    view: View = View.CHART


def acts(action: str, now: Situation) -> bool:
    """Whether a key of the workbench does something in this situation."""
    figures = now.has_run and now.view in FIGURES
    if action in _EDITS:
        return now.has_dataset and not now.busy and now.view is not View.START
    match action:
        case "stop":
            return now.busy and not now.stopping and now.view is not View.START
        case "open":
            return not now.busy or now.view is View.START
        case "next_step":
            return next_step(now) is not None
        case "operation":
            return figures and len(now.operations) > 1
        case "numbers" | "disk" | "verdict":
            return figures
        case "scale":
            return figures and now.view is View.CHART
        case "back":
            return now.opening or now.view is not View.START
        case "full":
            return now.view is not View.START
    return True


def next_step(now: Situation) -> Step | None:
    """The next sensible step; None while there is nothing to do but watch."""
    if now.view is View.START:
        return Step("choose", "choose")
    if now.view is View.ERROR:
        return Step("plan", "plan") if now.has_dataset else Step("back", "back")
    if now.view is View.PLAN or (now.has_dataset and not now.has_run):
        return Step("run", "run") if now.has_dataset else None
    if now.busy or not now.has_run:
        return None
    return _tour(now)


def _tour(now: Situation) -> Step:
    """After a run: one operation's chart after the other, then disk, then the first again."""
    stops = [Step(f"{name} times", "show", name) for name in now.operations]
    stops.append(Step("disk usage", "show", now.operations[-1], View.DISK))
    here = len(stops) - 1 if now.view is View.DISK else now.operations.index(now.operation)
    return stops[(here + 1) % len(stops)]


def word_of(action: str, now: Situation, log_scale: bool) -> str:
    """The footer's word for an action whose meaning depends on the situation; empty for all others."""
    if action == "next_step":
        step = next_step(now)
        return step.word if step else ""
    if action == "scale":
        return "linear" if log_scale else "log"
    shown = {View.NUMBERS: "look('numbers')", View.DISK: "look('disk')", View.VERDICT: "verdict"}
    return "chart" if shown.get(now.view) == action else ""
