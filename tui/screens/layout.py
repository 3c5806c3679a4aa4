"""What the workscreen shows at each size, in the edges of its panels, and one panel alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget

from tui.keys import CHART_HINTS, TABLE_HINTS, View
from tui.widgets.chart import ChartPanel
from tui.widgets.configurations import BackendTable
from tui.widgets.dataset import DatasetPanel
from tui.widgets.footer import active_hints, hints_line
from tui.widgets.run import RunPanel
from tui.widgets.verdict import VerdictPanel

if TYPE_CHECKING:
    from backends.runs.run import Run

SMALLEST = (60, 16)
ROOMY_ROWS = 30
"""From here on every panel has a border all around; below, Dataset and Run have a titled line."""
SHORT_ROWS = 21
"""Below, no panel has more than a titled line."""
WIDE, WIDEST = 120, 150
"""Columns from which on the verdict has a panel of its own, and from which on that is wider."""
CHART_ROWS = 9
"""Rows that stay for what panel 4 shows, however many configurations there are."""
LEAST_ROWS = 3
"""Of configurations, even where that takes rows of the chart."""


def fit_to(screen: Screen[Any], width: int, height: int) -> None:
    """Show as many panels, and as many rows of the table, as there is room for."""
    roomy, short = height >= ROOMY_ROWS, height < SHORT_ROWS
    screen.set_class(roomy, "-roomy")
    screen.set_class(short, "-short")
    screen.set_class(width >= WIDE, "-wide")
    screen.set_class(width >= WIDEST, "-widest")
    screen.set_class(width < SMALLEST[0] or height < SMALLEST[1], "-tiny")
    others = (8 if roomy else 4) + 1  # Dataset and Run, the footer
    frames = 3 if short else 5  # edges of the table and of the charts, the head of the table
    screen.query_one(BackendTable).most_rows = max(LEAST_ROWS, height - others - frames - CHART_ROWS)


def label_top_edges(screen: Screen[Any]) -> None:
    """Write the titles of the panels anew, in the colours of another theme."""
    screen.query_one(DatasetPanel).label()
    screen.query_one(BackendTable).label()
    screen.query_one(RunPanel).label()


def label_bottom_edges(screen: Screen[Any], view: View, run: Run | None) -> None:
    """Write the keys of a panel into its bottom edge; beside the table of a run that goes on, how far that is."""
    table, hints = screen.query_one(BackendTable), active_hints(screen)
    if run is not None and run.alive:
        table.border_subtitle = f"after {run.repeats_done()} of {run.plan.repeats} repeats"
    else:
        table.border_subtitle = hints_line(hints, TABLE_HINTS)
    keys = hints_line(hints, CHART_HINTS, "  ")
    charts = screen.query_one(ChartPanel)
    scrolls = Content.assemble(f"{charts.words_more} ", ("j k", "bold"), " scroll  ") if charts.words_more else ""
    charts.label()
    charts.border_subtitle = Content.assemble(scrolls, keys)


def show_alone(screen: Screen[Any], panel: Widget | None) -> None:
    """Show ``panel`` alone, with the focus, or all panels again."""
    screen.set_class(panel is not None, "-full")
    for one in (ChartPanel, VerdictPanel):
        screen.query_one(one).set_class(screen.query_one(one) is panel, "-alone")
