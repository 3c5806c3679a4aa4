"""Panel 3: the trial under way and how far the run is; at its end the figures of the chart on show."""

from __future__ import annotations

from dataclasses import dataclass

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from backends import units
from backends.bench.measurement import Aspect
from backends.runs.run import Run
from tui.keys import View
from tui.labels import Known, Series, counts, title
from tui.run_charts import disk_standings, standings
from tui.text import fit, safe_text
from tui.widgets.footer import label_top
from tui.widgets.verdict import entries


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

    def label(self) -> None:
        """Write the top edge."""
        label_top(self, "3 Run", edge_words(self.run) if self.run else "")

    def watch_run(self) -> None:
        self.label()

    def on_resize(self) -> None:
        self.label()

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


def chart_in_words(run: Run, series: Known, view: View, aspect: Aspect, room: int) -> Content:
    """The figures of the chart on show, the best first, each with how many times the best one's it is; no references.

    ``Shuffled 50,000: ■ hdf5 27.4 ms > ▲ lmdb 66 ms (2.4x) > ● files 1.27 s (46x)``: the verdict's ranking, where all
    configurations have figures at the largest size.
    """
    if view is View.TRADE_OFF:
        return _trade_off_in_words(run, series, room)
    if view is View.DISK:
        head, shown, unit = f"On disk, {run.plan.sizes[-1]:,} images", disk_standings(run, series), units.size
    else:
        sizes = counts(aspect, run.plan.sizes)
        measured = ((size, standings(run, series, aspect, size)) for size in reversed(sizes))
        count, shown = next(((size, measures) for size, measures in measured if measures), (sizes[-1], []))
        head, unit = title(aspect) + (f" {count:,}" if count > 1 else ""), units.seconds
        ranking = run.verdict.ranking(aspect) if run.verdict else None
        if ranking is not None and ranking.count == count:
            versions = ((True, True), (True, False), (False, False))
            ranked = (entries(ranking, series, marks=marks, values=values) for marks, values in versions)
            return _fitting(head, [Content("").join(parts) for parts in ranked], room)
    shown = [standing for standing in shown if not standing.series.configuration.is_reference] or shown
    if not shown:
        message = run.message or (run.failures[-1].message if run.failures else "")
        why = f": {safe_text(message, 300)}" if message else ""
        return Content.styled(fit(f"{head}: no figures{why}", room).rstrip(), "$dim")
    values = [unit(standing.value) for standing in shown]
    ratios = [units.ratio(standing.value / shown[0].value) for standing in shown]
    long = [values[0], *(f"{value} ({ratio})" for value, ratio in zip(values[1:], ratios[1:], strict=True))]
    brief = [values[0], *ratios[1:]]
    names = [_named(standing.series) for standing in shown]
    bare = [Content.styled(safe_text(standing.series.name, 24), standing.series.role) for standing in shown]
    return _fitting(head, [_listed(names, long), _listed(names, brief), _listed(bare, brief)], room)


def _trade_off_in_words(run: Run, series: Known, room: int) -> Content:
    """The configurations than which no other one is both faster and smaller, with their time and size."""
    front = run.verdict.front if run.verdict else ()
    count = run.plan.sizes[-1]
    seconds = {one.series.configuration: one.value for one in standings(run, series, Aspect.SHUFFLED, count)}
    sizes = {one.series.configuration: one.value for one in disk_standings(run, series)}
    known = [name for name in front if name in seconds and name in sizes]
    if not known:
        return Content.styled(fit("Trade-off of shuffled reads and disk: no figures", room).rstrip(), "$dim")
    names = [_named(series[name]) for name in known]
    words = [f"{units.seconds(seconds[name])}, {units.size(sizes[name])}" for name in known]
    return _fitting(f"Trade-off {count:,}", [_listed(names, words), Content(" · ").join(names)], room)


def _fitting(head: str, versions: list[Content], room: int) -> Content:
    """The first version that fits, else the last one cut."""
    lines = [Content.assemble((f"{head}: ", "$dim"), version) for version in versions]
    return next((line for line in lines if line.cell_length <= room), lines[-1].truncate(room, ellipsis=True))


def _listed(names: list[Content], words: list[str]) -> Content:
    return Content(" · ").join(Content.assemble(name, f" {word}") for name, word in zip(names, words, strict=True))


def _named(series: Series) -> Content:
    return Content.assemble((series.mark, series.role), f" {safe_text(series.name, 24)}")


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
    if run.phase == "staging":
        return Content.assemble(("reading the images ", "bold"), f"{run.done:,} of {run.total:,}")
    if run.phase == "removing":
        return Content.styled("removing what the run made", "$dim")
    if run.trial is None:
        return Content.styled(fit("starting" if not run.ended else "next trial", 20), "$dim")
    known = series.get(run.trial.configuration)
    warm = " warm-up" if run.trial.repeat == 0 else ""
    name = safe_text(known.name if known else run.trial.configuration, 30)
    text = f"{name} {run.trial.operation} {run.trial.count:,}{warm}"
    return Content.assemble((known.mark, known.role) if known else "", " ", fit(text, 24))
