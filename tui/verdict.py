"""What a run decides, in rows: the headline, the panel, and the full view with its intervals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.content import Content

from backends import units
from backends.bench.ranking import TIE
from tui.aspects import counts, title
from tui.text import fit, safe_text

if TYPE_CHECKING:
    from backends.bench.ranking import Rank, Ranking
    from backends.bench.verdict import Verdict
    from tui.run_state import RunState
    from tui.series import Known, Series

_FIRST = ("shuffled", "shuffled cold", "read", "read cold")
"""What the headline tells, the first that was measured."""

_UNSAID = ("store durable", "files")
"""Rankings that have no rows in the panel."""
_TITLE = 9
_MOST_ROWS = 4


@dataclass(frozen=True, slots=True)
class Standing:
    """One configuration's figure and how many times the best one's it is."""

    series: Series
    value: float
    ratio: float


def standings(run: RunState, series: Known, aspect: str, count: int) -> list[Standing]:
    """The medians of seconds, the least first."""
    return _ordered(
        series, {name: one.seconds for (name, what, n), one in run.figures.items() if (what, n) == (aspect, count)}
    )


def disk_standings(run: RunState, series: Known) -> list[Standing]:
    """Allocated bytes at the largest size, the least first."""
    count = run.plan.sizes[-1]
    return _ordered(series, {name: one.bytes_allocated for (name, _, n), one in run.figures.items() if n == count})


def _ordered(series: Known, values: dict[str, float | None] | dict[str, int | None]) -> list[Standing]:
    known = sorted((float(value), name) for name, value in values.items() if value)
    return [Standing(series[name], value, value / known[0][0]) for value, name in known if name in series]


def headline(run: RunState, series: Known, room: int) -> Content:
    """The result in one row: ``read 2,000: hdf5 1.1 ms = lmdb · files 48x  median of 3``."""
    stopped = "stopped  " if run.phase == "cancelled" else ""
    ranking = _told(run.verdict)
    if ranking is None:
        why = f": {safe_text(run.message, 300)}" if run.message else ""
        return Content.styled(f"{stopped}no figures{why}", "$dim")
    ranks = [one for one in ranking.ranks if one.configuration in series]
    tail = f"  {_repeats(run, ranking)}"
    head = Content.assemble((stopped, "bold"), (f"{ranking.use} {ranking.count:,}: ", "$dim"))
    space = "  " if room > 110 else " "
    for marks, end in ((True, tail), (False, tail), (False, "")):
        line = head
        for place, one in enumerate(ranks):
            sign = "" if place == 0 else f"{space}{'=' if one.outcome == TIE else '·'}{space}"
            line = Content.assemble(line, (sign, "$dim"), _entry(one, series[one.configuration], place == 0, marks))
        line = Content.assemble(line, (end, "$dim"))
        if line.cell_length <= room:
            return line
    return line.truncate(room, ellipsis=True)


def _told(verdict: Verdict | None) -> Ranking | None:
    """The ranking of the headline."""
    known = {one.use: one for one in verdict.rankings} if verdict else {}
    times = [use for use in known if use != "disk" and use not in _UNSAID]
    return next((known[use] for use in (*_FIRST, *times[-1:]) if use in known), None)


def _repeats(run: RunState, ranking: Ranking) -> str:
    cells = [(one.configuration, ranking.use, ranking.count) for one in ranking.ranks]
    repeats = min((run.figures[cell].repeats for cell in cells if cell in run.figures), default=0)
    return f"median of {repeats}" if repeats > 1 else "measured once"


def _entry(one: Rank, known: Series, first: bool, marks: bool) -> Content:
    mark = Content.styled(known.mark + " ", known.role) if marks else Content("")
    value = units.seconds(one.value) if first else units.ratio(one.ratio)
    return Content.assemble(mark, (safe_text(known.name, 24), "" if marks else known.role), " ", (value, "bold"))


def verdict_rows(run: RunState | None, series: Known, width: int) -> list[Content]:
    """The panel: who leads each use at the largest size, ``=`` before who ties, then what decides."""
    if run is None:
        return [Content.styled("no figures yet", "$dim")]
    verdict = run.verdict
    known = {one.use: one for one in verdict.rankings} if verdict else {}
    rows = [Content.styled(_state(run), "$dim"), Content.styled(f"{run.plan.sizes[-1]:,} images", "$dim"), Content("")]
    uses = run.aspects
    most = _MOST_ROWS if len(uses) < _MOST_ROWS else 2
    for use in uses:
        full = counts(use, run.plan.sizes)[-1]
        missing = "waiting" if run.alive else "not measured"
        operation, _, cold = use.partition(" ")
        name = f"  {cold}" if cold and operation in uses else use
        rows += _panel_block(name, known.get(use), series, width, most, full, missing)
    disk = _measured_disk(run, series, known.get("disk"))
    rows += _panel_block("disk", disk, series, width, most, disk.count if disk else 0, "waiting")
    if verdict and verdict.complete:
        shown = [use for use in known if use not in _UNSAID]
        rows += [Content("")] + [Content(safe_text(one, 400)) for one in verdict.sentences[len(shown) :]]
    if run.warnings:
        number = len(run.warnings)
        rows.append(Content.styled(f"! {number} warning{'' if number == 1 else 's'}: v shows all", "$error"))
    return rows + [Content.styled(safe_text(note, 300), "$dim") for note in run.notes]


def _state(run: RunState) -> str:
    if run.phase == "finished":
        return f"median of {run.plan.repeats}" if run.plan.repeats > 1 else "measured once"
    return "so far, too early to tell" if run.alive else "stopped before all repeats were in"


def _measured_disk(run: RunState, series: Known, ranking: Ranking | None) -> Ranking | None:
    """The ranking with what was measured at the largest size, as the table has it."""
    found = {one.series.configuration: one for one in disk_standings(run, series)}
    ranks = [one for one in ranking.ranks if one.configuration in found] if ranking else []
    if ranking is None or not ranks:
        return None
    values = ((one, found[one.configuration].value) for one in ranks)
    least = min(found[one.configuration].value for one in ranks)
    return replace(ranking, ranks=tuple(replace(one, value=value, ratio=value / least) for one, value in values))


def _panel_block(
    name: str, ranking: Ranking | None, series: Known, width: int, most: int, full: int, missing: str
) -> list[Content]:
    """The first ones of a ranking; it says its count where that is not ``full``."""
    ranks = [one for one in ranking.ranks if one.configuration in series] if ranking else []
    if ranking is None or not ranks:
        return [Content.assemble((fit(name, _TITLE), "$dim"), (f" {missing}", "$dim"))]
    best, ties = ranks[0], [one for one in ranks if one.outcome == TIE]
    behind = [one for one in ranks[1:] if one.outcome != TIE][: max(0, most - 1 - bool(ties))]
    value = units.size(best.value) if ranking.use == "disk" else units.seconds(best.value)
    at = "" if ranking.count == full else f" at {units.count(ranking.count)}"
    room = max(4, width - _TITLE - 12 - len(at))
    names = min(max(cell_len(series[one.configuration].name) for one in (best, *behind)), room)
    rows = [
        Content.assemble((fit(name, _TITLE), "$dim"), " ", _named(series[best.configuration], names), f"{value:>9}", at)
    ]
    if ties:
        tied = Content("  ").join(_named(series[one.configuration]) for one in ties)
        rows.append(Content.assemble(" " * _TITLE, ("=", "bold"), tied).truncate(width, ellipsis=True))
    for one in behind:
        ratio = (f"{units.ratio(one.ratio):>9}", "$dim")
        rows.append(Content.assemble(" " * (_TITLE + 1), _named(series[one.configuration], names), ratio))
    return rows


def _named(one: Series, width: int | None = None) -> Content:
    name = safe_text(one.name, 40)
    return Content.assemble((one.mark, one.role), f" {name if width is None else fit(name, width)}")


def full_rows(run: RunState | None, series: Known, width: int) -> list[Content]:
    """Everything that is decided: a sentence for each use, the rankings with intervals, the warnings."""
    verdict = run.verdict if run else None
    if run is None or verdict is None:
        return verdict_rows(run, series, width)
    after = f"after {run.repeats_done()} of {run.plan.repeats} repeats"
    rows = [Content.styled(f"{_state(run)}; {after}; for {verdict.images:,} images.", "$dim")]
    rows += [Content(safe_text(one, 600)) for one in verdict.sentences if verdict.complete]
    rows += [Content.assemble(("! ", "bold $error"), (safe_text(one, 600), "$error")) for one in run.warnings]
    rows += [Content.styled(safe_text(note, 400), "$dim") for note in run.notes]
    for ranking in verdict.rankings:
        rows += [Content(""), *_full_block(ranking, series)]
    return rows


def _full_block(ranking: Ranking, series: Known) -> list[Content]:
    ranks = [one for one in ranking.ranks if one.configuration in series]
    if not ranks:
        return []
    more = ", with its sync" if "durable" in ranking.use else ""
    images = "1 image" if ranking.count == 1 else f"{ranking.count:,} images"
    names = max(cell_len(safe_text(one.configuration, 40)) for one in ranks)
    rows = [Content.assemble((title(ranking.use) + more, "bold"), (f", {images}", "$dim"))]
    for place, one in enumerate(ranks):
        known = series[one.configuration]
        value, interval = _amounts(ranking.use, one)
        ratio = f"{one.ratio:.2f}x" if place else ""
        between = f"{one.ratio_interval[0]:.2f} to {one.ratio_interval[1]:.2f}" if place and one.ratio_interval else ""
        rows.append(
            Content.assemble(
                ("=" if one.outcome == TIE else " ", "bold"),
                (f" {known.mark}", known.role),
                f" {fit(safe_text(one.configuration, 40), names)}{value:>10}",
                (f"{interval:>22}", "$dim"),
                f"{ratio:>8}",
                (f"{between:>16}", "$dim"),
            )
        )
    return rows


def _amounts(use: str, one: Rank) -> tuple[str, str]:
    if use == "files":
        return f"{one.value:,.0f}", ""
    if use == "disk":
        return units.size(one.value), ""
    return units.seconds(one.value), units.span(one.interval) if one.interval else ""
