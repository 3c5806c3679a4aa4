"""Panel 3: what runs now, how far it is, and at the end what came out."""

from __future__ import annotations

from dataclasses import dataclass

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from backends import units
from tui.run_state import RunState
from tui.series import Known
from tui.text import fit, safe_text
from tui.verdict import headline


@dataclass(frozen=True, slots=True)
class Remark:
    """A sentence that comes before the run: what the cursor stands on, or why a key did nothing."""

    sentence: str = ""
    urgent: bool = False


class StatusLine(Widget, can_focus=True):
    """One row."""

    run: reactive[RunState | None] = reactive(None)
    series: reactive[Known] = reactive(Known)
    remark: reactive[Remark] = reactive(Remark)

    def render(self) -> Content:
        number = Content.assemble((" 3 ", "bold" if self.has_focus else "$dim"))
        room = self.size.width - number.cell_length - 1
        return Content.assemble(number, self._words(room))

    def _words(self, room: int) -> Content:
        run = self.run
        if self.remark.sentence:
            said = safe_text(("! " if self.remark.urgent else "") + self.remark.sentence, 400)
            return Content.styled(fit(said, room).rstrip(), "$error" if self.remark.urgent else "$dim")
        if run is None:
            return Content("")
        if run.alive:
            return _progress(run, self.series, room)
        if run.phase == "failed":
            return Content.styled(fit("! " + safe_text(run.message, 400), room).rstrip(), "$error")
        return headline(run, self.series, room)


def _progress(run: RunState, series: Known, room: int) -> Content:
    """``● files store 50k  ━━━━━━────  24.4k img/s  57 of 100  0:25``."""
    what = _what(run, series)
    right = Content.assemble(
        (units.rate(run.images_per_second) if run.images_per_second and run.trial else "", "bold"),
        f"  {run.ended} of {run.trials}  {units.clock(run.elapsed)}" if run.trials else "",
    )
    bar_room = room - what.cell_length - right.cell_length - 4
    if bar_room < 4:
        return Content.assemble(what, "  ", right)
    width = min(bar_room, max(8, room // 2))
    share = run.share if run.phase == "staging" else run.ended / max(1, run.trials)
    full = min(width, round(share * width))
    one = series.get(run.trial.configuration) if run.trial else None
    role = one.role if one else "$focus"
    bar = Content.assemble(("━" * full, role), ("─" * (width - full), "$line"))
    gap = " " * (bar_room - width)
    return Content.assemble(what, "  ", bar, gap, "  ", right)


def _what(run: RunState, series: Known) -> Content:
    if run.stopping:
        return Content.styled("stopping", "bold")
    if run.phase == "staging":
        return Content.assemble(("reading the images ", "bold"), f"{run.done:,} of {run.total:,}")
    if run.phase == "removing":
        return Content.styled("removing what the run made", "$dim")
    if run.trial is None:
        return Content.styled("starting" if not run.ended else "next trial", "$dim")
    one = series.get(run.trial.configuration)
    warm = " warm-up" if run.trial.repeat == 0 else ""
    name = safe_text(one.name if one else run.trial.configuration, 30)
    text = f"{name} {run.trial.operation} {units.count(run.trial.count)}{warm}"
    return Content.assemble((one.mark, one.role) if one else "", " ", fit(text, 18))
