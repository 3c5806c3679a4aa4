"""What the medians say so far: the headline and the list, nothing that the table does not hold."""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import cell_len
from textual.content import Content

from backends import units
from tui.run_state import RunState
from tui.series import Known, Series
from tui.text import fit, safe_text


@dataclass(frozen=True, slots=True)
class Standing:
    """One configuration's figure and how many times the best one's it is."""

    series: Series
    value: float
    ratio: float


def standings(run: RunState, series: Known, operation: str, count: int) -> list[Standing]:
    """The medians of seconds, the least first."""
    return _ordered(
        series, {name: one.seconds for (name, op, n), one in run.figures.items() if (op, n) == (operation, count)}
    )


def disk_standings(run: RunState, series: Known) -> list[Standing]:
    """Allocated bytes at the largest size, the least first."""
    count = run.plan.sizes[-1]
    return _ordered(series, {name: one.bytes_allocated for (name, _, n), one in run.figures.items() if n == count})


def _ordered(series: Known, values: dict[str, float | None] | dict[str, int | None]) -> list[Standing]:
    known = sorted((float(value), name) for name, value in values.items() if value)
    return [Standing(series[name], value, value / known[0][0]) for value, name in known if name in series]


def headline(run: RunState, series: Known, room: int) -> Content:
    """The result in one row: ``read 2,000: hdf5 1.1 ms · lmdb 5.2x · files 48x  median of 3``."""
    stopped = "stopped  " if run.phase == "cancelled" else ""
    operation = "read" if "read" in run.plan.operations else run.plan.operations[-1]
    count = max((n for (_, op, n), one in run.figures.items() if op == operation and one.repeats), default=0)
    found = standings(run, series, operation, count)
    if not found:
        return Content.styled(
            f"{stopped}no figures" + (f": {safe_text(run.message, 300)}" if run.message else ""), "$dim"
        )
    repeats = min(run.figures[one.series.configuration, operation, count].repeats for one in found)
    tail = f"  median of {repeats}" if repeats > 1 else "  measured once"
    head = Content.assemble((stopped, "bold"), (f"{operation} {count:,}: ", "$dim"))
    for marks, end in ((True, tail), (False, tail), (False, "")):
        parts = Content.assemble(("  ·  " if room > 110 else " · ", "$dim")).join(_entry(one, marks) for one in found)
        line = Content.assemble(head, parts, (end, "$dim"))
        if line.cell_length <= room:
            return line
    return line.truncate(room, ellipsis=True)


def _entry(one: Standing, marks: bool) -> Content:
    mark = Content.styled(one.series.mark + " ", one.series.role) if marks else Content("")
    value = units.seconds(one.value) if one.ratio == 1 else units.ratio(one.ratio)
    return Content.assemble(
        mark, (safe_text(one.series.name, 24), "" if marks else one.series.role), " ", (value, "bold")
    )


def verdict_rows(run: RunState | None, series: Known, width: int) -> list[Content]:
    """The panel: each operation's medians at the largest size, then disk, with how many times the least."""
    if run is None:
        return [Content.styled("no figures yet", "$dim")]
    size = run.plan.sizes[-1]
    rows = [_state_row(run), Content.styled(f"{size:,} images", "$dim"), Content("")]
    for operation in run.plan.operations:
        rows += _block(operation, standings(run, series, operation, size), width)
    rows += _block("disk", disk_standings(run, series), width)
    rows += [Content.styled(safe_text(note, 300), "$dim") for note in run.notes]
    return rows


def _state_row(run: RunState) -> Content:
    if run.phase == "finished":
        repeats = run.repeats_done()
        return Content.styled(f"median of {repeats}" if repeats > 1 else "measured once", "$dim")
    if run.alive:
        return Content.styled("so far, too early to tell", "$dim")
    return Content.styled("stopped before all repeats were in", "$dim")


def _block(title: str, found: list[Standing], width: int) -> list[Content]:
    if not found:
        return [Content.assemble((fit(title, 7), "$dim"), ("waiting", "$dim"))]
    describe = units.size if title == "disk" else units.seconds
    names = min(max(cell_len(safe_text(one.series.name, 40)) for one in found), max(4, width - 25))
    return [
        Content.assemble(
            (fit(title if one is found[0] else "", 7), "$dim"),
            (one.series.mark, one.series.role),
            f" {fit(safe_text(one.series.name, 40), names)} {describe(one.value):>8}",
            ("" if one is found[0] else f"{units.ratio(one.ratio):>7}", "$dim"),
        )
        for one in found
    ]
