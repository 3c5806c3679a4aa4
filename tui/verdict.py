"""What the medians say so far: the headline and the list, nothing that the table does not hold."""

from __future__ import annotations

from dataclasses import dataclass

from textual.content import Content

from tui import units
from tui.run_state import RunState
from tui.series import Series, identify
from tui.text import fit, safe_text


@dataclass(frozen=True, slots=True)
class Standing:
    """One configuration's figure and how many times the best one's it is."""

    series: Series
    value: float
    ratio: float


def standings(run: RunState, operation: str, count: int) -> list[Standing]:
    """The medians of seconds, the least first."""
    return _ordered(
        run, {name: one.seconds for (name, op, n), one in run.figures.items() if (op, n) == (operation, count)}
    )


def disk_standings(run: RunState) -> list[Standing]:
    """Allocated bytes at the largest size that has any, the least first."""
    count = disk_count(run)
    return _ordered(run, {name: one.bytes_allocated for (name, _, n), one in run.figures.items() if n == count})


def disk_count(run: RunState) -> int:
    """The largest number of images whose disk usage is known; 0 where none is."""
    return max((n for (_, _, n), one in run.figures.items() if one.bytes_allocated), default=0)


def _ordered(run: RunState, values: dict[str, float | None] | dict[str, int | None]) -> list[Standing]:
    series = identify(run.plan.configurations)
    known = sorted((float(value), name) for name, value in values.items() if value)
    return [Standing(series[name], value, value / known[0][0]) for value, name in known if name in series]


def headline(run: RunState, room: int) -> Content:
    """The result in one row: ``read 2,000: hdf5 1.1 ms · lmdb 5.2x · files 48x  median of 3``."""
    ended = {"finished": "", "cancelled": "stopped  "}.get(run.phase, "")
    operation = "read" if "read" in run.plan.operations else run.plan.operations[-1]
    count = max((n for (_, op, n), one in run.figures.items() if op == operation and one.repeats), default=0)
    found = standings(run, operation, count)
    if not found:
        return Content.styled(
            f"{ended}no figures: {safe_text(run.message, 300)}" if run.message else ended.strip(), "$dim"
        )
    repeats = min(run.figures[one.series.configuration, operation, count].repeats for one in found)
    tail = f"  median of {repeats}" if repeats > 1 else "  measured once"
    line = Content.assemble((ended, "bold"), (f"{operation} {count:,}: ", "$dim"))
    for index, one in enumerate(found):
        value = units.seconds(one.value) if index == 0 else units.ratio(one.ratio)
        name = Content.assemble(
            (one.series.mark, one.series.role), f" {safe_text(one.series.name, 24)} ", (value, "bold")
        )
        part = Content.assemble((" · ", "$dim") if index else "", name)
        if line.cell_length + part.cell_length > room:
            break
        line = Content.assemble(line, part)
    if line.cell_length + len(tail) <= room:
        line = Content.assemble(line, (tail, "$dim"))
    return line


def verdict_rows(run: RunState | None, width: int) -> list[Content]:
    """The panel: each operation's medians at the largest size, then disk, with how many times the least."""
    if run is None:
        return [Content.styled("no figures yet", "$dim")]
    size = run.plan.sizes[-1]
    rows = [_state_row(run), Content("")]
    for operation in run.plan.operations:
        rows += _block(operation, standings(run, operation, size), units.seconds, width)
    rows += _block("disk", disk_standings(run), units.size, width)
    rows += [Content(""), Content.styled(f"for {size:,} images", "$dim")]
    rows += [Content.styled(safe_text(note, 300), "$dim") for note in run.notes]
    return rows


def _state_row(run: RunState) -> Content:
    if run.phase == "finished":
        repeats = run.repeats_done()
        return Content.styled(f"median of {repeats}" if repeats > 1 else "measured once", "$dim")
    if run.alive:
        return Content.styled("so far, too early to tell", "$dim")
    return Content.styled("stopped before all repeats were in", "$dim")


def _block(title: str, found: list[Standing], text: object, width: int) -> list[Content]:
    if not found:
        return [Content.assemble((fit(title, 7), "$dim"), ("waiting", "$dim"))]
    describe = units.size if text is units.size else units.seconds
    names = max(len(safe_text(one.series.name, 24)) for one in found)
    rows = []
    for index, one in enumerate(found):
        head = title if index == 0 else ""
        ratio = "" if index == 0 else units.ratio(one.ratio)
        rows.append(
            Content.assemble(
                (fit(head, 7), "$dim"),
                (one.series.mark, one.series.role),
                f" {fit(safe_text(one.series.name, 24), min(names, max(4, width - 28)))} ",
                f"{describe(one.value):>8}",
                (f"{ratio:>7}", "$dim"),
            )
        )
    return rows
