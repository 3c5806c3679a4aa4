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
    TRADE_OFF = "trade-off"
    VERDICT = "verdict"
    ERROR = "error"


FIGURES = (View.CHART, View.NUMBERS, View.DISK, View.TRADE_OFF, View.VERDICT)
_EDITS = frozenset({"pick", "codec", "add", "remove", "where", "plan", "run", "copy", "article"})


@dataclass(frozen=True, slots=True)
class Situation:
    """What decides which keys act.

    Attributes
    ----------
    has_dataset, has_run, busy, opening
        Whether a dataset is open, a run is on show, it still goes on, and a dataset is being read.
    saved
        The run on show was read from a file.
    pictures
        Whether the article's experiment can be made with the dataset.
    aspects
        Of the run on show, else of the draft.
    """

    view: View
    has_dataset: bool = False
    has_run: bool = False
    busy: bool = False
    opening: bool = False
    stopping: bool = False
    saved: bool = False
    pictures: bool = False
    aspect: str = "store"
    aspects: tuple[str, ...] = ("store", "read")


@dataclass(frozen=True, slots=True)
class Step:
    """What Enter does, and the footer's word for it.

    ``kind`` is ``choose``, ``run``, ``plan``, ``back`` or ``show``; a step that shows has what and how.
    """

    word: str
    kind: str
    aspect: str = ""
    view: View = View.CHART


def acts(action: str, now: Situation) -> bool:
    """Whether a key of the workbench does something in this situation."""
    figures = now.has_run and now.view in FIGURES
    if action in _EDITS:
        fits = now.pictures if action == "article" else not now.saved or action == "copy"
        return now.has_dataset and not now.busy and now.view is not View.START and fits
    match action:
        case "stop":
            return now.busy and not now.stopping and now.view is not View.START
        case "open":
            return not now.busy or now.view is View.START
        case "next_step":
            return next_step(now) is not None
        case "aspect":
            return figures and len(now.aspects) > 1
        case "export":
            return figures and not now.busy
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
    """After a run: one aspect's chart after the other, then disk and trade-off, then the first again."""
    stops = [Step(f"{name} times", "show", name) for name in now.aspects]
    last = now.aspects[-1]
    stops += [Step("disk usage", "show", last, View.DISK), Step("trade-off", "show", last, View.TRADE_OFF)]
    if now.view in (View.DISK, View.TRADE_OFF):
        here = len(stops) - (2 if now.view is View.DISK else 1)
    else:
        here = now.aspects.index(now.aspect)
    return stops[(here + 1) % len(stops)]


def after_disk(view: View) -> View:
    """What the key of the disk shows next."""
    return {View.DISK: View.TRADE_OFF, View.TRADE_OFF: View.CHART}.get(view, View.DISK)


def word_of(action: str, now: Situation, log_scale: bool) -> str:
    """The footer's word for an action whose meaning depends on the situation; empty for all others."""
    if action == "next_step":
        step = next_step(now)
        return step.word if step else ""
    if action == "scale":
        return "linear" if log_scale else "log"
    if action == "disk":
        return str(after_disk(now.view))
    shown = {View.NUMBERS: "look('numbers')", View.VERDICT: "look('verdict')"}
    return "chart" if shown.get(now.view) == action else ""
