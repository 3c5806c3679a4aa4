"""Every number of a run as a table of texts: the figures behind the charts."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from backends import units
from tui.text import safe_text

if TYPE_CHECKING:
    from backends.bench.measurement import Measurement
    from backends.bench.summary import Figure
    from tui.run_state import RunState
    from tui.series import Known

HEAD = (
    "configuration", "images", "median", "min", "max", "durable", "img/s", "CPU", "memory", "allocated", "apparent",
    "files", "verified", "repeats",
)  # fmt: skip


def number_rows(run: RunState, series: Known, operation: str) -> list[tuple[str, ...]]:
    """One row a configuration and size, the largest size first; texts aligned by whoever shows them."""
    rows = []
    for size in reversed(run.plan.sizes):
        for name in run.plan.configurations:
            figure = run.figures.get((name, operation, size))
            if figure is not None and name in series:
                found = [
                    one
                    for one in run.measurements
                    if (one.configuration, one.operation, one.count) == (name, operation, size) and one.shown
                ]
                rows.append(_row(f"{series[name].mark} {safe_text(name, 60)}", figure, found, run.plan.repeats))
    return rows


def _row(name: str, figure: Figure, found: list[Measurement], repeats: int) -> tuple[str, ...]:
    good = [one for one in found if one.outcome == "ok"]
    cpu = [one.cpu_seconds for one in good if one.cpu_seconds is not None]
    memory = [one.peak_anonymous for one in good if one.peak_anonymous is not None]
    worst = next((one.outcome for one in found if one.outcome != "ok"), "")
    rate = figure.images_per_second
    return (
        name,
        f"{figure.count:,}",
        units.seconds(figure.seconds) if figure.repeats else f"! {worst}",
        units.seconds(figure.seconds_low),
        units.seconds(figure.seconds_high),
        units.seconds(figure.seconds_durable),
        units.rate(rate).removesuffix(" img/s"),
        units.seconds(median(cpu) if cpu else None),
        units.size(max(memory, default=None)),
        units.size(figure.bytes_allocated),
        units.size(figure.bytes_apparent),
        f"{figure.files:,}" if figure.files is not None else "·",
        "yes" if figure.verified else "no",
        f"{figure.repeats} of {repeats}",
    )
