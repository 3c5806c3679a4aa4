"""The charts of a run: times, disk usage and trade-off, as data for ``tui.charts``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from backends import units
from backends.analysis.figures import Figure
from backends.analysis.prediction import Predicted
from backends.analysis.ranking import Ranking
from backends.bench.configuration import Configuration
from backends.bench.measurement import EPOCH, Aspect
from backends.bench.schedule import configurations
from backends.runs.run import Run
from tui.chart_data import PREDICTED, Bar, Bars, Chart, Curve, TimeChart, TradeOff
from tui.keys import View
from tui.labels import Known, Series, is_one_image, seconds_title
from tui.text import middle, safe_text


@dataclass(frozen=True, slots=True)
class Standing:
    """One configuration's figure and how many times the best one's it is."""

    series: Series
    value: float
    ratio: float


def standings(run: Run, series: Known, aspect: Aspect, count: int) -> list[Standing]:
    """The medians of seconds, the least first."""
    figures = (run.figures.get((name, aspect, count)) for name in series)
    return _ordered(series, {figure.configuration: figure.seconds for figure in figures if figure})


def disk_standings(run: Run, series: Known) -> list[Standing]:
    """Allocated bytes at the largest size, the least first."""
    count = run.plan.sizes[-1]
    return _ordered(series, {name: one.bytes_allocated for (name, _, n), one in run.figures.items() if n == count})


def _ordered(series: Known, values: Mapping[Configuration, float | None]) -> list[Standing]:
    known = sorted((float(value), name) for name, value in values.items() if value)
    return [Standing(series[name], value, value / known[0][0]) for value, name in known if name in series]


def chart_of(view: View, run: Run, series: Known, aspect: Aspect, log: bool, focus: Configuration | None) -> Chart:
    """The chart that ``view`` shows of ``run``; ``focus`` is the configuration that is drawn last."""
    if view is View.DISK:
        return _disk(run, series)
    if view is View.TRADE_OFF:
        return _trade_off(run, series)
    if aspect.operation == EPOCH:
        return _epochs(run, series, aspect)
    return _one_image(run, series, aspect) if is_one_image(aspect) else _times(run, series, aspect, log, focus)


def _times(run: Run, series: Known, aspect: Aspect, log: bool, focus: Configuration | None) -> TimeChart:
    verdict = run.verdict if not run.alive else None
    ends = {one.configuration: one.seconds.get(aspect) for one in verdict.predictions} if verdict else {}
    images = verdict.images if verdict and verdict.images > run.plan.sizes[-1] else None
    curves = []
    names = [name for name in configurations(run.plan) if name in series]
    for name in names:
        figures = (run.figures.get((name, aspect, size)) for size in run.plan.sizes)
        curves.append(time_curve(series[name], filter(None, figures), ends.get(name), images))
    extended = images if images and any(curve.predicted for curve in curves) else None
    return TimeChart(
        tuple(curves),
        (*run.plan.sizes, *((extended,) if extended else ())),
        "images" + (f", {PREDICTED} predicted" if extended else ""),
        seconds_title(aspect),
        log,
        names.index(focus) if focus in names else None,
    )


def time_curve(
    series: Series, figures: Iterable[Figure], predicted: Predicted | None = None, images: int | None = None
) -> Curve:
    """Median seconds by number of images, then what is ``predicted`` for ``images``, with its doubt."""
    known = [(figure, figure.seconds) for figure in figures if figure.seconds is not None]
    points = tuple((float(figure.count), seconds) for figure, seconds in known)
    ranges: list[tuple[float, float] | None] = [figure.range for figure, _ in known]
    end = None
    if images and predicted is not None and len(points) > 1:
        end = (float(images), predicted.value)
        ranges.append((predicted.low, predicted.high))
    return Curve(middle(safe_text(series.name), 40), series.mark, series.role, points, end, ranges=tuple(ranges))


def _one_image(run: Run, series: Known, aspect: Aspect) -> Bars:
    bars = tuple(
        _bar(standing, units.seconds(standing.value), "" if standing.ratio == 1 else units.ratio(standing.ratio))
        for standing in standings(run, series, aspect, 1)
    )
    title = f"{seconds_title(aspect)}, its container opened anew each time"
    return Bars(title if bars else "nothing is measured yet", bars)


def _epochs(run: Run, series: Known, aspect: Aspect) -> Bars:
    """Images a second by the number of workers, a bar for each; the fastest configuration first."""
    count, bars = run.plan.sizes[-1], []
    for standing in standings(run, series, aspect, count):
        one = standing.series
        for facts in run.figures[one.configuration, aspect, count].epochs:
            name, rate = f"{middle(safe_text(one.name), 30)}, {facts.workers}", count / facts.seconds
            note = f"first batch {units.seconds(facts.first_batch)}"
            bars.append(Bar(name, one.mark, one.role, rate, units.rate(rate), note))
    fetched = "in batches" if run.plan.fetch == "batch" else "item by item"
    title = f"Images a second by number of DataLoader workers, fetched {fetched}"
    return Bars(title if bars else "nothing is measured yet", tuple(bars))


def _disk(run: Run, series: Known) -> Bars:
    """One bar a configuration: allocated bytes at the largest size, the least first."""
    count = run.plan.sizes[-1]
    bars = []
    for standing in disk_standings(run, series):
        name = standing.series.configuration
        figure = next(f for (c, _, n), f in run.figures.items() if (c, n) == (name, count) and f.bytes_allocated)
        files = units.count_of(figure.files, "file") if figure.files is not None else ""
        bars.append(_bar(standing, units.size(standing.value), f"{units.size(figure.bytes_apparent)} of data, {files}"))
    title = f"Allocated on disk by {count:,} images" if bars else f"{count:,} images are not stored yet"
    return Bars(title, tuple(bars))


def _bar(standing: Standing, text: str, note: str) -> Bar:
    series = standing.series
    return Bar(middle(safe_text(series.name), 40), series.mark, series.role, standing.value, text, note)


def _trade_off(run: Run, series: Known) -> TradeOff | Bars:
    """Shuffled reads against bytes on disk, both for the number of images that is predicted for."""
    verdict = run.verdict
    speed = verdict.ranking(Aspect.SHUFFLED) or verdict.ranking(Aspect.SHUFFLED_COLD)
    disk = verdict.ranking("disk")
    if speed is None or disk is None:
        waiting = "shuffled" in run.plan.operations and run.alive
        return Bars("waiting for shuffled reads" if waiting else "no shuffled reads were measured: p adds them")
    rates = {name: verdict.images / seconds for name, seconds in _predicted(speed).items()}
    points = {name: (size, rates[name]) for name, size in _predicted(disk).items() if name in rates and name in series}
    names = {name: safe_text(series[name].name, 40) for name in points}
    best = [name for name in verdict.front if name in points]
    how = "" if verdict.images == speed.count else ", predicted"
    return TradeOff(
        f"Nothing else is both faster ({speed.use}) and smaller: {', '.join(names[name] for name in best)}"
        if best
        else "so far, too early to tell",
        tuple(
            Curve(names[name], series[name].mark, series[name].role, (point,), None, name in best)
            for name, point in points.items()
        ),
        tuple(sorted(points[name] for name in best)),
        f"Bytes on disk of {verdict.images:,} images{how}",
        "Images a second",
    )


def _predicted(ranking: Ranking) -> dict[Configuration, float]:
    return {one.configuration: one.predicted.value for one in ranking.ranks if one.predicted and one.predicted.value}
