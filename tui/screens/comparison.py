"""Two runs beside each other: every figure that both have, as a ratio."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from backends import units
from tui.aspects import title
from tui.series import identify
from tui.text import fit, safe_text
from tui.widgets.footer_line import FooterLine

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from backends.jobs.comparison import RunComparison

_JUDGED = {"unsure": "too few repeats", "faster": "second is faster", "slower": "second is slower"}


class ComparisonScreen(Screen[None]):
    """The older run first."""

    CSS_PATH = "history.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter", "dismiss(None)", "back", key_display="Esc"),
        Binding("j,down", "scroll(1)", "down", show=False),
        Binding("k,up", "scroll(-1)", "up", show=False),
    ]

    def __init__(self, names: tuple[str, str], found: RunComparison) -> None:
        super().__init__()
        self._names = names
        self._found = found

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="jobs") as box:
            box.border_title = Content(f"{self._names[0]}, then {self._names[1]}")
            yield Static(Content("\n").join(comparison_rows(self._found)))
        yield FooterLine()

    def action_scroll(self, step: int) -> None:
        self.query_one("#jobs").scroll_relative(y=step, animate=False)


def comparison_rows(found: RunComparison) -> list[Content]:
    """A block for each aspect and size, then what differs around the runs."""
    series = identify(dict.fromkeys(one.configuration for one in found.cells))
    names = max([26, *(cell_len(safe_text(name, 40)) for name in series)])
    how = "repeats are paired" if found.same_plan else "the plans differ: repeats are not paired, nothing is judged"
    rows = [Content.styled(f"Medians; {how}.", "$dim")]
    rows += [Content.styled(safe_text(one, 500), "$dim") for one in found.differences]
    if found.missing:
        rows.append(Content.styled(f"{found.missing:,} figures are in one of the two only.", "$dim"))
    if not found.cells:
        return [*rows, Content("They have no figure in common.")]
    rows.append(Content.styled(" " * (names + 2) + f"{'first':>10}{'second':>10}{'ratio':>8}", "$dim"))
    block: object = None
    for one in found.cells:
        if block != (one.aspect, one.count):
            block = one.aspect, one.count
            images = f"{one.count:,} image{'' if one.count == 1 else 's'}"
            rows += [Content(""), Content.assemble((title(one.aspect), "bold"), (f", {images}", "$dim"))]
        known, outcome = series[one.configuration], one.paired.outcome if one.paired else ""
        rows.append(
            Content.assemble(
                (known.mark, known.role),
                f" {fit(safe_text(one.configuration, 40), names)}",
                f"{units.seconds(one.first):>10}{units.seconds(one.second):>10}",
                (f"{one.ratio:>7.2f}x", "" if outcome in ("", "tie") else "bold"),
                (f"  {_JUDGED.get(outcome, outcome)}", "$dim"),
            )
        )
    return rows
