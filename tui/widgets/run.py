"""Panel 3: the trial under way and how far the run is; at its end the figures of the chart on show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from backends import units
from backends.bench.measurement import Aspect
from tui.keys import View
from tui.labels import Known
from tui.text import fit, safe_text
from tui.widgets.footer import label_top

if TYPE_CHECKING:
    from backends.runs.conversion import Conversion
    from backends.runs.run import Run


@dataclass(frozen=True, slots=True)
class Remark:
    """A sentence that is shown in place of the run: what the cursor stands on, or why a key did nothing."""

    sentence: str = ""
    urgent: bool = False


class RunPanel(Widget, can_focus=True):
    """One row; the times are in its top edge."""

    run: reactive[Run | None] = reactive(None)
    series: reactive[Known] = reactive(Known)
    remark: reactive[Remark] = reactive(Remark)
    view: reactive[View] = reactive(View.START)
    aspect: reactive[Aspect] = reactive(Aspect.STORE)
    conversion: reactive[Conversion | None] = reactive(None)

    def label(self) -> None:
        """Write the top edge."""
        state = self.conversion
        beside = f" ─ converting {100 * state.share:.0f} %, C shows it" if state is not None and state.alive else ""
        label_top(self, f"3 Run{beside}", edge_words(self.run) if self.run else "")

    watch_run = watch_conversion = on_resize = label

    def render(self) -> Content:
        run, room = self.run, self.size.width
        if self.remark.sentence:
            text = safe_text(("! " if self.remark.urgent else "") + self.remark.sentence, 400)
            return Content.styled(fit(text, room).rstrip(), "$error" if self.remark.urgent else "$dim")
        if run is None:
            return Content("")
        if run.alive:
            return _progress(run, self.series, room)
        if run.phase == "failed":
            return Content.styled(fit("! " + safe_text(run.message, 400), room).rstrip(), "$error")
        from tui.verdict import chart_in_words

        return chart_in_words(run, self.series, self.view, self.aspect, room)


def edge_words(run: Run) -> str:
    """``3:12 elapsed, about 4 min left``; ``finished in 5:02, 325 trials verified``."""
    clock = units.clock(run.seconds)
    if run.phase == "removing":
        return f"measured in {clock}, removing temporary files"
    if run.alive:
        left = run.seconds_left
        return f"{clock} elapsed" + (f", about {units.about(left)} left" if left is not None else "")
    verified = sum(one.verified for one in run.measurements)
    complete = run.phase == "finished" and verified == run.ended
    trials = f"{verified:,} trials verified" if complete else f"{verified:,} of {run.trials:,} trials verified"
    how = {"finished": "finished in", "failed": "failed after"}.get(run.phase, "stopped after")
    return f"{how} {clock}, {trials}"


def _progress(run: Run, series: Known, room: int) -> Content:
    """``● files+png shuffled 1,000   ━━━━━━━━━──────────   118 of 325   4.1k img/s``."""
    work = _work(run, series)
    rate = units.rate(run.images_per_second) if run.images_per_second and run.trial else ""
    right = Content.assemble(f"{run.ended:,} of {run.trials:,}" if run.trials else "", (f"   {rate:>11}", "bold"))
    width = room - work.cell_length - right.cell_length - 6
    if width < 4:
        return Content.assemble(work, "  ", right).truncate(room, ellipsis=True)
    share = run.share if run.phase == "staging" else run.ended / max(1, run.trials)
    full = min(width, round(share * width))
    known = series.get(run.trial.configuration) if run.trial else None
    bar = Content.assemble(("━" * full, known.role if known else "$focus"), ("─" * (width - full), "$line"))
    return Content.assemble(work, "   ", bar, "   ", right)


def _work(run: Run, series: Known) -> Content:
    """The trial under way, or what is done before, between and after trials."""
    if run.stopping:
        return Content.styled("stopping", "bold")
    if run.waiting:
        return Content.styled(f"waiting for {safe_text(run.waiting, 400)}", "bold")
    if run.phase == "staging":
        return Content.assemble(("reading the images ", "bold"), f"{run.done:,} of {run.total:,}")
    if run.phase == "removing":
        return Content.styled("removing what the run made", "$dim")
    if run.start is None and run.found:
        return Content.assemble(("listing the dataset ", "bold"), f"{run.found:,} pictures")
    if run.trial is None:
        return Content.styled(fit("starting" if not run.ended else "next trial", 20), "$dim")
    known = series.get(run.trial.configuration)
    warm = " warm-up" if run.trial.repeat == 0 else ""
    name = safe_text(known.name if known else run.trial.configuration, 30)
    text = f"{name} {run.trial.operation} {run.trial.count:,}{warm}"
    return Content.assemble((known.mark, known.role) if known else "", " ", fit(text, 24))
