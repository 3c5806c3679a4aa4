"""What a report says, whatever its format."""

from __future__ import annotations

import csv
import io
import time
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from backends import units
from backends.analysis.figures import limits_sentence, multiple_of_limit
from backends.analysis.warnings import warnings_of
from backends.bench.configuration import is_reference
from backends.bench.measurement import COLD, ONE_IMAGE, STORE_FAILED, Measurement, aspect_of
from backends.bench.schedule import aspects, configurations
from tui.draft import command_line
from tui.labels import dataset_name, describe_plan
from tui.reports.article import article_sections
from tui.reports.model import (
    BYTES,
    RATE,
    Bars,
    Chart,
    Code,
    Curve,
    Point,
    Report,
    Row,
    Section,
    Sentences,
    Table,
    curve,
    figures_at,
    names_of,
)
from tui.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backends.analysis.figures import Figure
    from backends.analysis.prediction import Predicted
    from backends.analysis.verdict import Verdict
    from backends.runs.run import Result
    from tui.reports.model import Names


KINDS_NAMED = 2
"""Configurations with an operation that are named where trials failed for one reason."""

_OUTCOMES = {
    "cancelled": "The run was stopped; this is what had finished.",
    "running": "The run still goes on.",
    "failed": "The run failed.",
}


def make_report(result: Result) -> Report:
    """Everything that there is to say; sections without anything to show are left out."""
    verdict, names = result.verdict, names_of(result)
    places = " and ".join(f"{one.point} ({one.filesystem})" for one in result.environment.mounts)
    facts = result.dataset
    lead = (
        f"{facts.count:,} images {units.shape(facts.image_shape)} of {facts.path}, measured on "
        f"{result.environment.host or 'a machine'}, {result.environment.cpu}, {places}"
        + (time.strftime(", on %Y-%m-%d at %H:%M.", time.localtime(result.started)) if result.started else "."),
        *(one for one in (_OUTCOMES.get(result.outcome), result.message) if one),
    )
    sections = [
        Section("Verdict", (Sentences(verdict.sentences), Sentences(verdict.lines))),
        *(article_sections(result, names) if result.plan.preset == "article" else ()),
        *(_aspect(result, aspect, verdict, names) for aspect in aspects(result.plan)),
        _disk(result, names),
        _trade_off(result, names),
        _predictions(verdict, names),
        Section("What to know of these figures", (Sentences(doubts(result)),)),
        Section("What was measured, and how", (_facts(result, places),)),
        Section("To repeat it", (Code(command_line(result.plan)),)),
    ]
    return Report(f"How to keep {dataset_name(facts)}", lead, tuple(one for one in sections if _says(one)))


def _says(section: Section) -> bool:
    return any(not (isinstance(one, Sentences) and not one.lines) for one in section.blocks)


def _aspect(result: Result, aspect: str, verdict: Verdict, names: Names) -> Section:
    cells = figures_at(result, aspect)
    counts = sorted({count for _, count in cells})
    shown = [name for name in configurations(result.plan) if any((name, count) in cells for count in counts)]
    if not shown:
        return Section(aspect, ())
    head = (f"median\nrange of {result.plan.repeats}", *(f"{count:,}" for count in counts))
    missing = {one.cell: one for one in result.failures if one.shown}
    limits = [one for one in cells.values() if is_reference(one.configuration)]
    rows: tuple[Row, ...] = tuple(
        (
            names[name],
            *(_cell(cells.get((name, count)), missing.get((name, aspect, count)), limits) for count in counts),
        )
        for name in shown
    )
    blocks: list[Table | Chart] = [Table(head, rows)]
    if aspect.split()[0] not in ONE_IMAGE:
        known = {one.configuration: one.seconds for one in verdict.predictions}
        curves = tuple(
            curve(names[name], (one for (which, _), one in cells.items() if which == name),
                  known.get(name, {}).get(aspect), verdict.images)
            for name in shown
        )  # fmt: skip
        title = f"{aspect.capitalize()}: seconds by number of images"
        blocks.insert(
            0, Chart(title, "Number of images", f"Seconds to {'store' if aspect == 'store' else 'read'}", curves)
        )
    if aspect == "store":
        rows = tuple(
            (names[name], *(units.seconds(one.seconds_durable) if one else "·" for one in
                            (cells.get((name, count)) for count in counts)))
            for name in shown
        )  # fmt: skip
        blocks.append(Table(("with sync, durable: median", *head[1:]), rows))
    return Section(aspect.capitalize(), tuple(blocks))


def _cell(figure: Figure | None, missing: Measurement | None, limits: list[Figure]) -> str:
    if figure is None or not figure.repeats:
        about = missing.predicted_seconds if missing else None
        return (missing.outcome if missing else "·") + (f"\nabout {units.about(about)}" if about else "")
    multiple = multiple_of_limit(figure, limits)
    limit = f"{units.ratio(multiple)} the limit" if multiple else ""
    around = f"\n{units.span(figure.range)}" if figure.range else ""
    return units.seconds(figure.seconds) + around + (", " if around and limit else "\n" if limit else "") + limit


def _disk(result: Result, names: Names) -> Section:
    cells = {name: one for (name, _), one in sorted(figures_at(result, "store").items(), key=lambda item: item[0][1])
             if one.bytes_allocated}  # fmt: skip
    found = [cells[name] for name in configurations(result.plan) if name in cells]
    rows = tuple(
        (
            names[one.configuration],
            f"{one.count:,}",
            units.size(one.bytes_allocated),
            units.size(one.bytes_apparent),
            f"{one.files or 0:,}",
            f"{(one.bytes_allocated or 0) / one.count:,.0f} B",
        )
        for one in found
    )
    if not rows:
        return Section("Disk", ())
    bars = tuple((names[one.configuration], one.bytes_allocated or 0, one.bytes_apparent or 0) for one in found)
    head = ("on disk", "images", "allocated", "apparent", "files", "allocated an image")
    return Section("Disk", (Bars("Allocated on disk, apparent size within", bars), Table(head, rows)))


def _trade_off(result: Result, names: Names) -> Section:
    aspect = next((one for one in ("shuffled", aspect_of("shuffled", COLD), "read") if figures_at(result, one)), "")
    cells = figures_at(result, aspect)
    count = max((count for _, count in cells), default=0)
    sizes = {
        one.configuration: one.bytes_allocated for one in result.figures if one.count == count and one.bytes_allocated
    }
    curves = tuple(
        Curve(names[name], (Point(float(sizes[name] or 0), one.images_per_second),))
        for (name, images), one in cells.items()
        if images == count and one.images_per_second and name in sizes and not is_reference(name)
    )
    if len(curves) < 2:
        return Section("Trade-off", ())
    chart = Chart(f"{aspect.capitalize()} against disk, {count:,} images", "Allocated on disk", "Images a second",
                  curves, log=False, across=BYTES, up=RATE)  # fmt: skip
    return Section("Trade-off", (chart,))


def _predictions(verdict: Verdict, names: Names) -> Section:
    """One row a use, one column a configuration."""
    known = {one.configuration: one for one in verdict.predictions}
    shown = [known[name] for name in names if name in known]
    rows: list[Row] = [
        (use, *(_predicted(one.seconds.get(use), units.seconds) for one in shown))
        for use in dict.fromkeys(use for one in shown for use in one.seconds)
        if not all(one.seconds[use].measured for one in shown if use in one.seconds)
    ]
    if not rows:
        return Section("Predicted", ())
    rows.append(("allocated", *(_predicted(one.bytes_allocated, units.size) for one in shown)))
    head: Row = ("predicted, not measured", *(names[one.configuration] for one in shown))
    doubt = "Do not rely on what has a ?: it is too far from what was measured, or the figures scatter too much."
    unsure = any(found.unsure for one in shown for found in one.seconds.values())
    title = f"Predicted for {verdict.images:,} images"
    return Section(title, (Table(head, tuple(rows)), Sentences((doubt,) if unsure else ())))


def _predicted(found: Predicted | None, write: Callable[[float], str]) -> str:
    if found is None:
        return "·"
    if found.measured:
        return f"{write(found.value)}\nmeasured"
    return f"{write(found.value)}{' ?' if found.unsure else ''}\n{write(found.low)} to {write(found.high)}"


def doubts(result: Result) -> tuple[str, ...]:
    """Warnings, notes, and each reason why trials failed or were skipped, with their number."""
    lines = [*warnings_of(result.plan, result.measurements, result.conditions, result.environment), *result.notes]
    reasons: dict[str, list[Measurement]] = {}
    for one in result.failures:
        if one.shown:
            late = one.predicted_seconds is not None
            reason = "they did not fit into the time limit." if late else one.message.removeprefix(STORE_FAILED)
            reasons.setdefault(reason, []).append(one)
    return (*lines, *(_missing(reason, ones) for reason, ones in reasons.items()))


def _missing(reason: str, ones: Sequence[Measurement]) -> str:
    """``4 trials failed, 8 were skipped (lmdb+raw store, lmdb+raw read and 1 more): the disk is full ...``"""
    failed = sum(one.outcome == "failed" for one in ones)
    number = f"{len(ones)} trial{'s' * (len(ones) > 1)}"
    outcome = f"{number} {ones[0].outcome}" if failed in (0, len(ones)) else f"{number} failed or skipped"
    kinds = list(dict.fromkeys(f"{one.configuration} {one.aspect}" for one in ones))
    more = f" and {len(kinds) - KINDS_NAMED} more" if len(kinds) > KINDS_NAMED else ""
    return f"{outcome} ({', '.join(kinds[:KINDS_NAMED])}{more}): {reason}"


def _facts(result: Result, places: str) -> Table:
    plan, facts, machine = result.plan, result.dataset, result.environment
    good = [one for one in result.measurements if one.shown and one.outcome == "ok"]
    resident = [one.resident for one in good if one.cache == COLD and one.resident is not None]
    cold = f"; cold: dropped from it before, at most {max(resident):.1%} still there" if resident else ""
    mounts = [
        f"{one.point}: {one.filesystem}, blocks of {one.block_bytes:,} B"
        + (", without journal" if one.journal is False else "")
        + (", a turning disk" if one.rotational else "")
        for one in machine.mounts
    ]
    rows = (
        ("dataset", f"{facts.kind}, split {facts.split}, {facts.path}, fingerprint {facts.fingerprint[:16]}"),
        ("classes", f"{len(facts.classes):,}: {', '.join(facts.classes[:12])}{', ...' if facts.classes[12:] else ''}"),
        ("plan", f"{describe_plan(plan)}; seed {plan.seed}"),
        ("trials", f"{len(good):,} that count; {sum(one.verified for one in good):,} verified pixel by pixel"),
        ("each trial", "in a worker thread" if plan.in_thread else "in a fresh process"
                       if plan.workers == 1 else f"shared by {plan.workers} fresh processes, each with a shard"),
        ("cache", f"warm: files in the page cache{cold}"),
        ("seconds", "without sync; the durable ones with it. Decoding the source took "
                    f"{units.seconds(result.staging_seconds)} and is in no figure."),
        ("filesystem", "; ".join(mounts) or places),
        ("machine", f"{machine.cpu}, {machine.cores} cores, {units.size(machine.memory_bytes)}, {machine.system}"),
        *((("limits", limits),) if (limits := limits_sentence(result.figures)) else ()),
        ("software", f"Python {machine.python}, " + ", ".join(f"{k} {v}" for k, v in machine.libraries.items())),
        ("took", units.seconds(result.seconds)),
    )  # fmt: skip
    return Table(("", ""), rows, left=2)


def to_csv(result: Result) -> str:
    """The columns are the fields of a measurement; each phase has one of its own, ``phases.write``."""
    shown = [asdict(one) for one in result.measurements if one.shown]
    phases = dict.fromkeys(f"phases.{phase}" for one in shown for phase in one["phases"])
    columns = [one.name for one in fields(Measurement) if one.name not in ("phases", "shown")]
    text = io.StringIO()
    writer = csv.DictWriter(text, [*columns, *phases], extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for one in shown:
        own = {f"phases.{phase}": seconds for phase, seconds in one["phases"].items()}
        writer.writerow({name: _safe(value) for name, value in (one | own).items()})
    return text.getvalue()


def _safe(value: Any) -> Any:
    """No text that a spreadsheet would take for a formula, or a terminal for a command."""
    if not isinstance(value, str):
        return value
    return ("'" if value[:1] in ("=", "+", "-", "@") else "") + safe_text(value, limit=1000)
