"""Every number of a run as a table of texts: the figures behind the charts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends import units
from backends.bench.summary import multiple_of_limit
from tui.text import safe_text

if TYPE_CHECKING:
    from backends.bench.measurement import Measurement
    from backends.bench.summary import Figure
    from tui.run_state import RunState
    from tui.series import Known

HEAD = (
    "configuration", "images", "median", "quartiles", "min", "max", "limit", "durable", "img/s", "CPU",
    "memory", "allocated", "apparent", "files", "verified", "repeats",
)  # fmt: skip


def number_rows(run: RunState, series: Known, aspect: str) -> list[tuple[str, ...]]:
    """One row a configuration and size, the largest size first; texts aligned by whoever shows them."""
    shown = [one for one in run.figures.values() if one.aspect == aspect and one.configuration in series]
    places = {name: place for place, name in enumerate(series)}
    rows = []
    for figure in sorted(shown, key=lambda one: (-one.count, places[one.configuration])):
        one = series[figure.configuration]
        found = [other for other in run.measurements if other.cell == figure.cell and other.shown]
        limit = multiple_of_limit(figure, run.figures.values())
        rows.append(_row(f"{one.mark} {safe_text(one.configuration, 60)}", figure, found, limit, run.plan.repeats))
    return rows


def _row(name: str, figure: Figure, found: list[Measurement], limit: float | None, repeats: int) -> tuple[str, ...]:
    memory = [one.peak_anonymous for one in found if one.outcome == "ok" and one.peak_anonymous is not None]
    worst = next((one.outcome for one in found if one.outcome != "ok"), "")
    rate = figure.images_per_second
    return (
        name,
        f"{figure.count:,}",
        units.seconds(figure.seconds) if figure.repeats else f"! {worst}",
        units.span(figure.quartiles),
        units.seconds(figure.seconds_low),
        units.seconds(figure.seconds_high),
        units.ratio(limit) if limit is not None else "·",
        units.seconds(figure.seconds_durable),
        units.rate(rate).removesuffix(" img/s"),
        units.seconds(figure.cpu_seconds),
        units.size(max(memory, default=None)),
        units.size(figure.bytes_allocated),
        units.size(figure.bytes_apparent),
        f"{figure.files:,}" if figure.files is not None else "·",
        "yes" if figure.verified else "no",
        f"{figure.repeats} of {repeats}",
    )
