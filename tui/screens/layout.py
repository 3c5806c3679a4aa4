"""What the workbench shows at each size, in its edges, and one panel alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.widgets.backend_table import BackendTable
from tui.widgets.chart_panel import ChartPanel
from tui.widgets.footer_line import CHART_KEYS, TABLE_KEYS, active_hints, hints_line

if TYPE_CHECKING:
    from textual.screen import Screen

ROOMY = (100, 30)
WIDE = 150
SMALLEST = (60, 16)


def fit_to(bench: Screen[None], width: int, height: int) -> None:
    """Show as many panels, and as many rows of the table, as there is room for."""
    bench.set_class(width >= ROOMY[0] and height >= ROOMY[1], "-roomy")
    bench.query_one(BackendTable).few_rows = height < ROOMY[1]
    bench.set_class(width >= WIDE, "-wide")
    bench.set_class(width < SMALLEST[0] or height < SMALLEST[1], "-tiny")


def label_edges(bench: Screen[None]) -> None:
    """Write the keys of a panel into its bottom edge."""
    for panel, actions in ((BackendTable, TABLE_KEYS), (ChartPanel, CHART_KEYS)):
        bench.query_one(panel).border_subtitle = hints_line(active_hints(bench), actions)


def show_alone(bench: Screen[None], full: bool) -> None:
    """Show the panel with the focus alone, or the chart where none has it; or all of them again."""
    for panel in bench.query(".panel"):
        panel.set_class(full and panel.has_focus_within, "-kept")
    if full and not bench.query(".panel.-kept"):
        bench.query_one(ChartPanel).add_class("-kept")
    bench.set_class(full, "-full")
    bench.set_class(full and bool(bench.query("#lower > .-kept")), "-full-lower")
