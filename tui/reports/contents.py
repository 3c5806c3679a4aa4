"""Contents of the report of a run, whatever the format of the file."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from backends import units
from backends.analysis.figures import limits_sentence, multiple_of_limit
from backends.bench.measurement import COLD, STORE_FAILED, Aspect, Measurement
from backends.bench.plan import ARTICLE
from backends.bench.schedule import configurations
from tui.chart_data import Bars
from tui.keys import View
from tui.labels import Known, dataset_name, describe_plan, identify, is_one_image, title
from tui.plan_fields import command_line
from tui.reports.article import article_sections
from tui.reports.formats import fill
from tui.reports.model import Report, Row, Section, Table
from tui.run_charts import chart_of
from tui.tables import EPOCH_HEAD, epoch_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backends.analysis.figures import Figure
    from backends.analysis.prediction import Predicted
    from backends.runs.run import Run


MOST_NAMED = 2
"""Failed configurations that are named for each reason; more are counted."""

_OUTCOMES = {
    "cancelled": "The run was stopped; this is what had finished.",
    "running": "The run still goes on.",
    "failed": "The run failed.",
}
_UNSURE = "Do not rely on what has a ?: it is too far from what was measured, or the figures scatter too much."


def make_report(run: Run) -> Report:
    """Return the report of a run, without the sections that have nothing to show."""
    dataset, machine, verdict, series = run.dataset, run.environment, run.verdict, identify(configurations(run.plan))
    mounts = " and ".join(f"{mount.point} ({mount.filesystem})" for mount in machine.mounts)
    date = time.strftime(", on %Y-%m-%d at %H:%M", time.localtime(run.started)) if run.started else ""
    lead = (
        f"{dataset.count:,} images {units.shape(dataset.image_shape)} of {dataset.path}, measured on "
        f"{machine.host or 'a machine'}, {machine.cpu}, {mounts}{date}.",
        _OUTCOMES.get(run.outcome, ""),
        run.message,
    )
    sections = (
        Section("Verdict", lists=(verdict.sentences, verdict.lines)),
        *(article_sections(run, series) if run.plan.preset == ARTICLE else ()),
        *(_aspect(run, aspect, series) for aspect in run.aspects),
        _disk(run, series),
        _trade_off(run, series),
        _predictions(run, series),
        Section("What to know of these figures", lists=(remarks(run),)),
        Section("What was measured, and how", tables=(_facts(run),)),
        Section("To repeat it", code=command_line(run.plan)),
    )
    heading = f"How to keep {dataset_name(dataset)}"
    return Report(heading, tuple(filter(None, lead)), tuple(section for section in sections if not section.empty))


def _aspect(run: Run, aspect: Aspect, series: Known) -> Section:
    """A chart of seconds by number of images, and a table; for stores, one more with the durable seconds."""
    figures = {cell: figure for cell, figure in run.figures.items() if figure.aspect is aspect}
    counts = sorted({figure.count for figure in figures.values()})
    missing = {trial.cell: trial for trial in run.failures if trial.shown}
    limits = [figure for figure in figures.values() if figure.configuration.is_reference]
    medians: list[Row] = []
    durable: list[Row] = []
    for name, shown in series.items():
        cells = [(name, aspect, count) for count in counts]
        if any(cell in figures for cell in cells):
            medians.append((shown, *(_median(figures.get(cell), missing.get(cell), limits) for cell in cells)))
            synced = [figures[cell].seconds_durable if cell in figures else None for cell in cells]
            durable.append((shown, *map(units.seconds, synced)))
    if not medians:
        return Section(title(aspect))
    head = [f"{count:,}" for count in counts]
    tables = [Table((f"median\nrange of {run.plan.repeats}", *head), tuple(medians))]
    if aspect is Aspect.STORE:
        tables.append(Table(("with sync, durable: median", *head), tuple(durable)))
    if epochs := epoch_rows(run, aspect):
        tables.append(Table(EPOCH_HEAD, tuple((series[name], *cells) for name, *cells in epochs)))
    chart = chart_of(View.CHART, run, series, aspect, True, None)
    caption = chart.title if isinstance(chart, Bars) else f"{title(aspect)}: seconds by number of images"
    charts = () if is_one_image(aspect) else ((caption, chart),)
    return Section(title(aspect), charts, tuple(tables))


def _median(figure: Figure | None, missing: Measurement | None, limits: Sequence[Figure]) -> str:
    """``1.2 ms`` and, in a second line, its range and its multiple of the machine's limit; or why there is none."""
    if figure is None or not figure.repeats:
        seconds = missing.predicted_seconds if missing else None
        return (missing.outcome if missing else "·") + (f"\nabout {units.about(seconds)}" if seconds else "")
    multiple = multiple_of_limit(figure, limits)
    details = [units.span(figure.range)] if figure.range else []
    details += [f"{units.ratio(multiple)} the limit"] if multiple else []
    details += [] if figure.verified else ["not verified"]
    return units.seconds(figure.seconds) + ("\n" + ", ".join(details) if details else "")


def _disk(run: Run, series: Known) -> Section:
    """The sizes of the largest store of each configuration."""
    stores = sorted((f for f in run.figures.values() if f.aspect is Aspect.STORE), key=lambda figure: figure.count)
    largest = {figure.configuration: figure for figure in stores if figure.bytes_allocated}
    rows: list[Row] = []
    for shown, figure in ((series[name], largest[name]) for name in series if name in largest):
        allocated, count = figure.bytes_allocated or 0, figure.count
        sizes = units.size(allocated), units.size(figure.bytes_apparent)
        rows.append((shown, f"{count:,}", *sizes, f"{figure.files or 0:,}", f"{allocated / count:,.0f} B"))
    if not rows:
        return Section("Disk")
    chart = chart_of(View.DISK, run, series, Aspect.STORE, True, None)
    table = Table(("on disk", "images", "allocated", "apparent", "files", "allocated an image"), tuple(rows))
    return Section("Disk", ((chart.title, chart),) if isinstance(chart, Bars) else (), (table,))


def _trade_off(run: Run, series: Known) -> Section:
    chart = chart_of(View.TRADE_OFF, run, series, Aspect.SHUFFLED, True, None)
    return Section("Trade-off", () if isinstance(chart, Bars) else (("Speed against disk", chart),))


def _predictions(run: Run, series: Known) -> Section:
    """A table of predictions that were not measured: a row for each use, a column for each configuration."""
    known = {prediction.configuration: prediction for prediction in run.verdict.predictions}
    shown = [known[name] for name in series if name in known]
    every = [(use, predicted) for prediction in shown for use, predicted in prediction.seconds.items()]
    uses = [use for use in dict(every) if not all(predicted.measured for name, predicted in every if name == use)]
    if not uses:
        return Section("Predicted")
    rows: list[Row] = [(use, *(_prediction(one.seconds.get(use), units.seconds) for one in shown)) for use in uses]
    rows.append(("allocated", *(_prediction(one.bytes_allocated, units.size) for one in shown)))
    head: Row = ("predicted, not measured", *(series[prediction.configuration] for prediction in shown))
    unsure = (_UNSURE,) if any(predicted.unsure for _, predicted in every) else ()
    heading = f"Predicted for {run.verdict.images:,} images"
    return Section(heading, tables=(Table(head, tuple(rows)),), lists=(unsure,))


def _prediction(predicted: Predicted | None, write: Callable[[float], str]) -> str:
    if predicted is None:
        return "·"
    if predicted.measured:
        return f"{write(predicted.value)}\nmeasured"
    doubt = " ?" if predicted.unsure else ""
    return f"{write(predicted.value)}{doubt}\n{write(predicted.low)} to {write(predicted.high)}"


def remarks(run: Run) -> tuple[str, ...]:
    """Return warnings, notes, and each reason why trials failed, were skipped or not verified."""
    reasons: dict[str, list[Measurement]] = {}  # by their text without numbers, such as those of a trial's files
    for trial in run.measurements:
        if trial.shown and not (trial.verified and trial.outcome == "ok"):
            trial = replace(trial, outcome="not verified") if trial.outcome == "ok" else trial
            no_time = trial.predicted_seconds is not None
            reason = "they did not fit into the time limit." if no_time else trial.message.removeprefix(STORE_FAILED)
            reason = reason or "their images were not compared with the original."
            reasons.setdefault(re.sub(r"\d+", "", reason), []).append(replace(trial, message=reason))
    return (
        *run.warnings,
        *run.dataset.notes,
        *run.notes,
        *map(_missing, reasons.values()),
    )


def _missing(trials: Sequence[Measurement]) -> str:
    """``8 trials failed or skipped (lmdb+raw store, lmdb+raw read and 1 more): the disk is full ...``"""
    outcomes = " or ".join(sorted({trial.outcome for trial in trials}))
    names = list(dict.fromkeys(f"{trial.configuration} {trial.aspect}" for trial in trials))
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    number = units.count_of(len(trials), "trial")
    return f"{number} {outcomes} ({', '.join(names[:MOST_NAMED])}{more}): {trials[0].message}"


def _facts(run: Run) -> Table:
    trials = [trial for trial in run.measurements if trial.shown and trial.outcome == "ok"]
    resident = [trial.resident for trial in trials if trial.cache == COLD and trial.resident is not None]
    limits, plan_text = limits_sentence(run.figures.values()), describe_plan(run.plan)
    text = fill("facts.txt", run=run, trials=trials, resident=resident, limits=limits, plan_text=plan_text)
    return Table(("", ""), tuple(tuple(line.split(": ", 1)) for line in text.splitlines() if line), left=2)
