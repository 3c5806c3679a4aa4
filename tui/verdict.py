"""What a run found, in words: the verdict, and the chart on show."""

from __future__ import annotations

from rich.cells import cell_len
from textual.content import Content

from backends import units
from backends.analysis.figures import SIGNS, TIE
from backends.analysis.prediction import Use
from backends.analysis.ranking import Rank, Ranking, amount, ratio_text
from backends.analysis.verdict import DEMO, SMALL, Verdict
from backends.bench.measurement import Aspect
from backends.runs.run import Run
from tui.keys import View
from tui.labels import Known, Series, counts, title
from tui.run_charts import disk_standings, standings
from tui.text import fit, middle, safe_text

_KEYS = {
    DEMO: "Demo data: too small to decide. Press o to measure your own images.",
    SMALL: "Too small to decide: add images or repeats (p).",
}
"""What the screen says where the command line names options."""

_WIDE = 60
"""Columns from which names are whole and ranges shown."""
_LEGEND = "> faster than   = tie   ? undecided"


def entries(ranking: Ranking, series: Known, *, marks: bool, values: bool) -> list[Content]:
    """``■ hdf5 27.4 ms``, `` > ▲ lmdb 2.4x``, ...: each sign says how the first is to what follows.

    With ``values`` each has its own: `` > ▲ lmdb 66 ms (2.4x)``.
    """
    parts = []
    for rank in ranking.ranks:
        if rank.configuration in series:
            known = series[rank.configuration]
            sign = (f" {SIGNS[rank.outcome]} ", "$dim") if rank.outcome else ""
            mark = (f"{known.mark} ", known.role) if marks else ""
            name = (middle(safe_text(known.name), 24), "" if marks else known.role)
            ratio = ratio_text(rank) if rank.outcome else ""
            value = f" {amount(ranking.use, rank)}" if values or not rank.outcome else ""
            if value and ratio:
                ratio = f" ({ratio.strip()})"
            parts.append(Content.assemble(sign, mark, name, (value + ratio, "bold")))
    return parts


def sentences(verdict: Verdict) -> tuple[str, ...]:
    """The verdict's sentences, with keys instead of options."""
    first, *others = verdict.sentences
    return (_KEYS.get(verdict.outcome, first), *others)


def verdict_rows(run: Run | None, series: Known, width: int) -> list[Content]:
    """The recommendation, a table for each use, then what makes the figures doubtful."""
    if run is None:
        return [Content.styled("no figures yet", "$dim")]
    verdict = run.verdict
    texts = [safe_text(sentence, 600) for sentence in sentences(verdict)] if verdict.complete else []
    rows = [*map(Content, texts), Content.styled(_state(run), "$dim")]
    uses: tuple[Use, ...] = (*dict.fromkeys((*run.aspects, *(ranking.use for ranking in verdict.rankings), "disk")),)
    for use in uses:
        rows += [Content(""), *_table(run, use, series, width)]
    rows += [Content(""), Content.styled(_LEGEND, "$dim")]
    rows += [Content.assemble(("! ", "bold $error"), (safe_text(one, 600), "$error")) for one in run.warnings]
    return rows + [Content.styled(safe_text(note, 400), "$dim") for note in run.notes]


def _state(run: Run) -> str:
    if run.complete:
        return f"medians of {run.plan.repeats} repeats" if run.plan.repeats > 1 else "measured once"
    return "too early to tell" if run.alive else "stopped before all repeats were in"


def _table(run: Run, use: Use, series: Known, width: int) -> list[Content]:
    """The ranking for a use, the best first; with whole names and the range of the repeats where they fit."""
    ranking = run.verdict.ranking(use)
    ranks = [rank for rank in ranking.ranks if rank.configuration in series] if ranking else []
    if ranking is None or not ranks:
        missing = "waiting" if run.alive else "not measured"
        return [Content.assemble((title(use), "bold"), (f", {missing}", "$dim"))]
    wide = width >= _WIDE
    ranges = [_range(run, ranking, rank) if wide else "" for rank in ranks]
    images = f", {'1 image' if ranking.count == 1 else f'{ranking.count:,} images'}"
    spread = f", range of {run.plan.repeats}" if any(ranges) else ""
    rows = [Content.assemble((title(use), "bold"), (images + spread, "$dim"))]
    texts = [safe_text(rank.configuration if wide else series[rank.configuration].name) for rank in ranks]
    names = [middle(text, width - (44 if spread else 22)) for text in texts]  # the figures behind it stay
    longest = max(map(cell_len, names))
    for rank, name, between in zip(ranks, names, ranges, strict=True):
        known = series[rank.configuration]
        ratio = "" if not rank.outcome or rank.outcome == TIE else units.ratio(rank.ratio)
        line = Content.assemble(
            (SIGNS.get(rank.outcome, " "), "bold"),
            (f" {known.mark}", known.role),
            f" {fit(name, longest)}{amount(use, rank):>10}{ratio:>8}",
            (f"{between:>22}" if spread else "", "$dim"),
        )
        rows.append(line.truncate(width, ellipsis=True))
    return rows


def _range(run: Run, ranking: Ranking, rank: Rank) -> str:
    """Least and most of the repeats, where they are of the value on show."""
    if not isinstance(ranking.use, Aspect):
        return ""
    figure = run.figures.get((rank.configuration, ranking.use, ranking.count))
    return units.span(figure.range) if figure and figure.range else ""


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
        ranking = run.verdict.ranking(aspect)
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
    bare = [Content.styled(middle(safe_text(standing.series.name), 24), standing.series.role) for standing in shown]
    return _fitting(head, [_listed(names, long), _listed(names, brief), _listed(bare, brief)], room)


def _trade_off_in_words(run: Run, series: Known, room: int) -> Content:
    """The configurations than which no other one is both faster and smaller, with their time and size."""
    front = run.verdict.front
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
    return Content.assemble((series.mark, series.role), f" {middle(safe_text(series.name), 24)}")
