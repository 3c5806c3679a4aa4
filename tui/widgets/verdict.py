"""The verdict: its text, and the panel that shows it."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.reactive import reactive
from textual.visual import VisualType
from textual.widgets import Static

from backends import units
from backends.analysis.figures import SIGNS, TIE
from backends.analysis.prediction import DURABLE, Use
from backends.analysis.ranking import Rank, Ranking, amount, ratio_text
from backends.analysis.verdict import DEMO, SMALL, Verdict
from backends.bench.measurement import Aspect
from backends.runs.run import Run
from tui.keys import SCROLLS
from tui.labels import Known, title
from tui.text import fit, safe_text

_KEYS = {
    DEMO: "Demo data: too small to decide. Press o to measure your own images.",
    SMALL: "Too small to decide: add images or repeats (p).",
}
"""What the screen says where the command line names options."""

_TITLE = 9
_LEGEND = "> faster than   = tie   ? undecided"


def entries(ranking: Ranking, series: Known, *, marks: bool = True, values: bool = False) -> list[Content]:
    """``■ hdf5 27.4 ms``, `` > ▲ lmdb 2.4x``, ...: each sign says how the first is to what follows.

    With ``values`` each has its own: `` > ▲ lmdb 66 ms (2.4x)``.
    """
    parts = []
    for rank in ranking.ranks:
        if rank.configuration in series:
            known = series[rank.configuration]
            sign = (f" {SIGNS[rank.outcome]} ", "$dim") if rank.outcome else ""
            mark = (f"{known.mark} ", known.role) if marks else ""
            name = (safe_text(known.name, 24), "" if marks else known.role)
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
    """The panel: the recommendation, then who leads each use."""
    if run is None:
        return [Content.styled("no figures yet", "$dim")]
    verdict = run.verdict
    rows = _sentences(run, verdict)
    rows.append(Content(""))
    uses: tuple[Use, ...] = (*run.aspects, "disk")
    for use in uses:
        ranking = verdict.ranking(use) if verdict else None
        if ranking is None or not entries(ranking, series):
            missing = "waiting" if run.alive else "not measured"
            rows.append(Content.assemble((fit(use, _TITLE), "$dim"), (f" {missing}", "$dim")))
        else:
            rows += _block(ranking, series, width)
    if run.warnings:
        number = len(run.warnings)
        rows.append(Content.styled(f"! {number} warning{'' if number == 1 else 's'}: v shows all", "$error"))
    return rows + [Content.styled(safe_text(note, 300), "$dim") for note in run.notes]


def _sentences(run: Run, verdict: Verdict | None) -> list[Content]:
    state = _state(run)
    if verdict is None or not verdict.complete:
        return [Content.styled(state, "$dim")]
    return [Content(safe_text(one, 600)) for one in sentences(verdict)] + [Content.styled(state, "$dim")]


def _state(run: Run) -> str:
    if run.complete:
        return f"medians of {run.plan.repeats} repeats" if run.plan.repeats > 1 else "measured once"
    return "too early to tell" if run.alive else "stopped before all repeats were in"


def _block(ranking: Ranking, series: Known, width: int) -> list[Content]:
    """A ranking: in one row where it fits, else a row for each configuration."""
    head = f"{ranking.use} {units.count(ranking.count)}" if ranking.count > 1 else ranking.use
    named = entries(ranking, series)
    line = Content.assemble((fit(head, max(_TITLE, cell_len(head))), "$dim"), "  ", *named)
    if line.cell_length <= width:
        return [line]
    rows = [Content.assemble("   ", named[0]), *named[1:]]
    return [Content.styled(head, "$dim"), *(row.truncate(width, ellipsis=True) for row in rows)]


def full_rows(run: Run | None, series: Known, width: int) -> list[Content]:
    """The whole verdict: its sentences, the rankings with the range of the repeats, the warnings."""
    verdict = run.verdict if run else None
    if run is None or verdict is None:
        return verdict_rows(run, series, width)
    rows = _sentences(run, verdict)
    for ranking in verdict.rankings:
        rows += [Content(""), *_table(run, ranking, series)]
    rows += [Content(""), Content.styled(_LEGEND, "$dim")]
    rows += [Content.assemble(("! ", "bold $error"), (safe_text(one, 600), "$error")) for one in run.warnings]
    return rows + [Content.styled(safe_text(note, 400), "$dim") for note in run.notes]


def _table(run: Run, ranking: Ranking, series: Known) -> list[Content]:
    ranks = [rank for rank in ranking.ranks if rank.configuration in series]
    if not ranks:
        return []
    more = ", with its sync" if ranking.use == DURABLE else ""
    images = "1 image" if ranking.count == 1 else f"{ranking.count:,} images"
    width = max(cell_len(safe_text(rank.configuration, 40)) for rank in ranks)
    ranges = {rank.configuration: _range(run, ranking, rank) for rank in ranks}
    spread = f", range of {run.plan.repeats}" if any(ranges.values()) else ""
    rows = [Content.assemble((title(ranking.use) + more, "bold"), (f", {images}{spread}", "$dim"))]
    for rank in ranks:
        known = series[rank.configuration]
        rows.append(
            Content.assemble(
                (SIGNS.get(rank.outcome, " "), "bold"),
                (f" {known.mark}", known.role),
                f" {fit(safe_text(rank.configuration, 40), width)}{amount(ranking.use, rank):>10}",
                f"{'' if not rank.outcome or rank.outcome == TIE else units.ratio(rank.ratio):>8}",
                (f"{ranges[rank.configuration]:>22}", "$dim"),
            )
        )
    return rows


def _range(run: Run, ranking: Ranking, rank: Rank) -> str:
    """Least and most of the repeats, where they are of the value on show."""
    if not isinstance(ranking.use, Aspect):
        return ""
    figure = run.figures.get((rank.configuration, ranking.use, ranking.count))
    return units.span(figure.range) if figure and figure.range else ""


class ScrolledText(VerticalScroll, can_focus=True):
    """Takes the arrows, j, k, g, G and the page keys while it has the focus."""

    BINDINGS: ClassVar[list[BindingType]] = SCROLLS

    def compose(self) -> ComposeResult:
        yield Static(markup=False)

    def update(self, text: VisualType) -> None:
        """Show other text."""
        self.query_one(Static).update(text)


class VerdictPanel(ScrolledText):
    """The medians at the largest size, ordered, with their ratios."""

    BORDER_TITLE = "5 Verdict"

    run: reactive[Run | None] = reactive(None)
    series: reactive[Known] = reactive(Known)

    def watch_run(self, old: Run | None, new: Run | None) -> None:
        same = old is not None and new is not None and old.block == new.block and old.phase == new.phase
        if not same:
            self._show()

    def watch_series(self) -> None:
        self._show()

    def on_resize(self) -> None:
        self._show()

    def _show(self) -> None:
        run = self.run
        if self.is_mounted:
            self.update(Content("\n").join(verdict_rows(run, self.series, self.size.width - 1)))
        if run is not None:
            self.border_subtitle = f"after {run.repeats_done()} of {run.plan.repeats} repeats"
