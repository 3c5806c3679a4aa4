"""What a run looks like: its figures as charts and bars, with the sentences above them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backends import units
from backends.bench.schedule import configurations
from tui.aspects import is_one_image, seconds_title
from tui.bars import Bar, draw_bars
from tui.charts import PREDICTED, Curve, TimeChart, TradeOff, draw_times, draw_trade_off, dropped
from tui.steps import View
from tui.text import fit, safe_text
from tui.verdict import disk_standings, standings

if TYPE_CHECKING:
    from backends.bench.ranking import Ranking
    from tui.canvas import Row
    from tui.run_state import RunState
    from tui.series import Known

Chart = TimeChart | TradeOff | tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart, and the sentences above it."""

    chart: Chart
    notes: tuple[str, ...] = ()

    def rows(self, width: int, height: int) -> list[Row]:
        """Exactly so many rows of so many cells; takes a while."""
        said: list[Row] = [[(" " + fit(note, width - 2), "$dim")] for note in self.notes[: max(1, height // 4)]]
        height -= len(said)
        match self.chart:
            case TimeChart():
                return said + draw_times(self.chart, width, height)
            case TradeOff():
                return said + draw_trade_off(self.chart, width, height)
        return [*said, [], *draw_bars(self.chart, width, max(0, height - 1))]


def drawing(view: View, run: RunState, series: Known, aspect: str, log: bool, focus: str) -> Drawing:
    """What ``view`` shows of ``run``; ``focus`` is the configuration that is drawn last."""
    if view is View.DISK:
        return _disk(run, series)
    if view is View.TRADE_OFF:
        return _trade_off(run, series)
    return _one_image(run, series, aspect) if is_one_image(aspect) else _times(run, series, aspect, log, focus)


def _times(run: RunState, series: Known, aspect: str, log: bool, focus: str) -> Drawing:
    verdict = run.verdict if not run.alive else None
    ends = {one.configuration: one.seconds.get(aspect) for one in verdict.predictions} if verdict else {}
    images = verdict.images if verdict and verdict.images > run.plan.sizes[-1] else None
    curves = []
    names = [name for name in configurations(run.plan) if name in series]
    for name in names:
        one = series[name]
        found = (run.figures.get((name, aspect, size)) for size in run.plan.sizes)
        points = tuple((f.count, f.seconds) for f in found if f is not None and f.seconds is not None)
        end = ends.get(name) if images else None
        predicted = (float(images), end.value) if images and end and len(points) > 1 else None
        curves.append(Curve(safe_text(one.name, 40), one.mark, one.role, points, predicted))
    extended = images if images and any(curve.predicted for curve in curves) else None
    label = "Number of images" + (f", {PREDICTED} predicted" if extended else "")
    chart = TimeChart(
        tuple(curves),
        (*run.plan.sizes, *((extended,) if extended else ())),
        label,
        seconds_title(aspect),
        log,
        names.index(focus) if focus in names else None,
    )
    lost = dropped(chart)
    notes = tuple(safe_text(note, 400) for note in run.notes)
    return Drawing(chart, (*notes, f"{lost} figures are not positive and not drawn") if lost else notes)


def _one_image(run: RunState, series: Known, aspect: str) -> Drawing:
    bars = tuple(
        Bar(
            safe_text(one.series.name, 24),
            one.series.mark,
            one.series.role,
            one.value,
            units.seconds(one.value),
            "" if one.ratio == 1 else units.ratio(one.ratio),
        )
        for one in standings(run, series, aspect, 1)
    )
    said = f"{seconds_title(aspect).removesuffix('-one')} one image, its container opened anew each time"
    return Drawing(bars, (said if bars else "nothing is measured yet",))


def _disk(run: RunState, series: Known) -> Drawing:
    """One bar a configuration: allocated bytes at the largest size, the least first."""
    count = run.plan.sizes[-1]
    bars = []
    for one in disk_standings(run, series):
        name = one.series.configuration
        figure = next(f for (c, _, n), f in run.figures.items() if (c, n) == (name, count) and f.bytes_allocated)
        files = f"{figure.files:,} file{'' if figure.files == 1 else 's'}" if figure.files is not None else ""
        note = f"{units.size(figure.bytes_apparent)} of data, {files}"
        shown = safe_text(one.series.name, 24)
        bars.append(Bar(shown, one.series.mark, one.series.role, one.value, units.size(one.value), note))
    said = f"Allocated on disk by {count:,} images" if bars else f"{count:,} images are not stored yet"
    return Drawing(tuple(bars), (said,))


def _trade_off(run: RunState, series: Known) -> Drawing:
    """Shuffled reads against bytes on disk, both for the number of images that is predicted for."""
    verdict = run.verdict
    rankings = {one.use: one for one in verdict.rankings} if verdict else {}
    speed = rankings.get("shuffled") or rankings.get("shuffled cold")
    disk = rankings.get("disk")
    if verdict is None or speed is None or disk is None:
        asked = "shuffled" in run.plan.operations and run.alive
        return Drawing((), ("waiting for shuffled reads" if asked else "no shuffled reads were measured: p adds them",))
    rates = {name: verdict.images / seconds for name, seconds in _predicted(speed).items()}
    points = {name: (size, rates[name]) for name, size in _predicted(disk).items() if name in rates and name in series}
    curves = tuple(
        Curve(
            safe_text(series[name].name, 40),
            series[name].mark,
            series[name].role,
            (point,),
            None,
            name in verdict.front,
        )
        for name, point in points.items()
    )
    front = tuple(sorted(points[name] for name in verdict.front if name in points))
    names = ", ".join(safe_text(series[name].name, 40) for name in verdict.front if name in points)
    how = "" if verdict.images == speed.count else ", predicted"
    said = f"Nothing else is both faster and smaller: {names}" if front else "so far, too early to tell"
    label = f"Bytes on disk of {verdict.images:,} images{how}"
    return Drawing(TradeOff(curves, front, label, f"Images a second, {speed.use}"), (said,))


def _predicted(ranking: Ranking) -> dict[str, float]:
    return {one.configuration: one.predicted.value for one in ranking.ranks if one.predicted and one.predicted.value}
