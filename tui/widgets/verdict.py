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
from backends.analysis.prediction import Use
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

_WIDE = 60
"""Columns from which names are whole and ranges shown."""
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
    names = [safe_text(rank.configuration if wide else series[rank.configuration].name, 40) for rank in ranks]
    ranges = [_range(run, ranking, rank) if wide else "" for rank in ranks]
    images = f", {'1 image' if ranking.count == 1 else f'{ranking.count:,} images'}"
    spread = f", range of {run.plan.repeats}" if any(ranges) else ""
    rows = [Content.assemble((title(use), "bold"), (images + spread, "$dim"))]
    longest = max(map(cell_len, names))
    for rank, name, between in zip(ranks, names, ranges, strict=True):
        known = series[rank.configuration]
        ratio = "" if not rank.outcome or rank.outcome == TIE else units.ratio(rank.ratio)
        line = Content.assemble(
            (SIGNS.get(rank.outcome, " "), "bold"),
            (f" {known.mark}", known.role),
            f" {fit(name, longest)}{amount(use, rank):>10}{ratio:>8}",
            (f"{between:>22}" if wide else "", "$dim"),
        )
        rows.append(line.truncate(width, ellipsis=True))
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
