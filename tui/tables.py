"""Tables of results, runs and comparisons, as the command line and the screens show them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import groupby

from rich.cells import cell_len

from backends import units
from backends.analysis.figures import Figure, limits_sentence, multiple_of_limit
from backends.bench.configuration import Configuration
from backends.bench.machine import Environment
from backends.bench.measurement import COLD, Aspect
from backends.bench.schedule import aspects, configurations
from backends.datasets.base import DatasetFacts
from backends.registry import BackendEntry, CodecEntry
from backends.runs.compare import RunComparison
from backends.runs.history import RunFacts
from backends.runs.run import Run
from tui.labels import Known, counts, identify, title
from tui.text import fit, safe_text

_CLASSES_SHOWN = 12


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Rows with columns two blanks apart, the first ``left`` of them aligned left, the others right."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def dataset_text(facts: DatasetFacts) -> str:
    """The facts of a dataset in a few lines."""
    names = " ".join(safe_text(name) for name in facts.classes[:_CLASSES_SHOWN])
    more = len(facts.classes) - _CLASSES_SHOWN
    splits = ", ".join(f"{safe_text(name)} {number:,}" for name, number in facts.splits.items())
    estimated = " (estimated)" if facts.estimated else ""
    files = f", {units.size(facts.source_bytes)} of files" if facts.source_bytes is not None else ""
    lines = [
        f"{facts.images:,} images {units.shape(facts.image_shape)}, {len(facts.classes):,} classes: "
        f"{safe_text(facts.kind)}{files}, {units.size(facts.raw_bytes)} of raw pixels{estimated}",
        f"path    {safe_text(facts.path)}",
        f"split   {safe_text(facts.split)} (of {splits})",
        *([f"classes {names}" + (f" and {more:,} more" if more > 0 else "")] if names else []),
    ]
    if facts.source:
        lines.append(f"source  {safe_text(facts.source)}")
    if facts.sampled is not None:
        whole = facts.sampled == facts.count
        read = "all headers" if whole else f"{facts.sampled:,} headers ({100 * facts.sampled / facts.count:.3g} %)"
        lines.append(
            f"files   {facts.count + facts.left_out:,} found, {facts.left_out:,} left out; {read} read: "
            f"{facts.sampled - facts.undecodable:,} pictures, {facts.undecodable:,} that are none or damaged"
        )
    lines += [safe_text(note, limit=500) for note in facts.notes]
    return "\n".join(lines)


def backends_text(entries: Sequence[BackendEntry], codecs: Sequence[CodecEntry]) -> str:
    """The backends with what is missing, and the codecs."""
    rows = [
        (
            entry.name,
            safe_text(entry.title),
            f"{entry.name}+{entry.codec}",
            "yes" if entry.installed else "broken" if entry.error else entry.install_command,
        )
        for entry in entries
    ]
    broken = [f"{entry.name}: {safe_text(entry.error, limit=1000)}" for entry in entries if entry.error]
    listed = table(("backend", "keeps images as", "default", "installed"), rows, left=4)
    known = table(("codec", "encodes each image as"), [(codec.name, codec.description) for codec in codecs], left=2)
    some = [f"{entry.name} only with {' and '.join(entry.codecs)}" for entry in entries if entry.codecs]
    rule = f"{', '.join(['Every backend works with every codec', *some])}; source needs a folder of pictures."
    return "\n\n".join([listed, *(["\n".join(broken)] if broken else []), known, rule])


def runs_text(runs: Sequence[RunFacts]) -> str:
    """The runs, one a line."""
    rows = [
        (
            run.id,
            run.state,
            time.strftime("%Y-%m-%d %H:%M", time.localtime(run.started)),
            safe_text(run.dataset, 60),
            units.count(run.sizes[-1]) if run.sizes else "·",
            safe_text(run.headline or " ".join(run.configurations)),
        )
        for run in runs
    ]
    return table(("run", "state", "started", "dataset", "images", "result"), rows, left=6)


_OUTCOMES = {"faster": "second is faster", "slower": "second is slower"}


def comparison_rows(comparison: RunComparison) -> list[list[tuple[str, str]]]:
    """Two runs beside each other: rows of ``(text, style)``, a block for each operation and size."""
    series = identify(dict.fromkeys(cell.configuration for cell in comparison.cells))
    names = max([26, *(cell_len(safe_text(name, 40)) for name in series)])
    how = (
        "repeats are paired" if comparison.same_plan else "the plans differ: repeats are not paired, nothing is judged"
    )
    rows = [[(f"Medians; {how}.", "$dim")], *([(safe_text(line, 500), "$dim")] for line in comparison.differences)]
    if comparison.missing:
        rows.append([(f"{comparison.missing:,} figures are in one of the two only.", "$dim")])
    if not comparison.cells:
        return [*rows, [("They have no figure in common.", "")]]
    rows.append([(" " * (names + 2) + f"{'first':>10}{'second':>10}{'ratio':>8}", "$dim")])
    for (aspect, count), cells in groupby(comparison.cells, lambda cell: (cell.aspect, cell.count)):
        rows += [[("", "")], [(title(aspect), "bold"), (f", {units.count_of(count, 'image')}", "$dim")]]
        for cell in cells:
            known, outcome = series[cell.configuration], cell.paired.outcome if cell.paired else ""
            text = f" {fit(safe_text(cell.configuration, 40), names)}"
            rows.append(
                [
                    (known.mark, known.role),
                    (f"{text}{units.seconds(cell.first):>10}{units.seconds(cell.second):>10}", ""),
                    (f"{cell.ratio:>7.2f}x", "" if outcome in ("", "tie") else "bold"),
                    (f"  {_OUTCOMES.get(outcome, outcome)}".rstrip(), "$dim"),
                ]
            )
    return rows


def result_text(result: Run) -> str:
    """A result: a table for each operation, the verdict, then what was measured, where, and what to know of it."""
    from tui.reports.contents import remarks

    tables = []
    for aspect in aspects(result.plan):
        tables.append(_aspect(aspect, result))
        if rows := epoch_rows(result, aspect):
            tables.append(table(EPOCH_HEAD, [(safe_text(name), *cells) for name, *cells in rows]))
    verdict = result.verdict
    lines = [*verdict.sentences, *verdict.lines] if verdict.rankings else []
    verdict_lines = [f"  {safe_text(line, limit=1000)}" for line in lines]
    notes = [*_footnotes(result), *(safe_text(line, limit=1000) for line in remarks(result))]
    return "\n\n".join(
        [*tables, *(["\n".join(("Verdict", *verdict_lines))] if verdict_lines else []), "\n".join(notes)]
    )


def _memory(figure: Figure, run: Run) -> str:
    trials = (trial for trial in run.measurements if trial.cell == figure.cell and trial.shown)
    return units.size(max((trial.peak_anonymous for trial in trials if trial.peak_anonymous is not None), default=None))


def _limit(figure: Figure, run: Run) -> str:
    multiple = multiple_of_limit(figure, run.figures.values())
    return "·" if multiple is None else units.ratio(multiple)


COLUMNS: dict[str, Callable[[Figure, Run], str]] = {
    "median": lambda figure, _: units.seconds(figure.seconds),
    "quartiles": lambda figure, _: units.span(figure.quartiles),
    "min": lambda figure, _: units.seconds(figure.seconds_low),
    "max": lambda figure, _: units.seconds(figure.seconds_high),
    "limit": _limit,
    "durable": lambda figure, _: units.seconds(figure.seconds_durable),
    "img/s": lambda figure, _: units.rate(figure.images_per_second).removesuffix(" img/s"),
    "CPU": lambda figure, _: units.seconds(figure.cpu_seconds),
    "memory": _memory,
    "on disk": lambda figure, _: units.size(figure.bytes_allocated),
    "apparent": lambda figure, _: units.size(figure.bytes_apparent),
    "files": lambda figure, _: f"{figure.files:,}" if figure.files is not None else "·",
    "verified": lambda figure, _: "yes" if figure.verified else "no",
    "repeats": lambda figure, run: f"{figure.repeats} of {run.plan.repeats}",
}
"""What tables show of a figure, by the column's heading."""


def _aspect(aspect: Aspect, run: Run) -> str:
    """A table with a column for each size, then what belongs to the largest one."""
    failures = {(trial.configuration, trial.count): trial.outcome for trial in run.failures if trial.aspect is aspect}
    sizes = counts(aspect, run.plan.sizes)
    extras = (*(("limit",) if run.plan.limits else ()), *(_OF_STORES if aspect is Aspect.STORE else ()))
    rows = []
    for name in configurations(run.plan):
        figures = {size: run.figures[name, aspect, size] for size in sizes if (name, aspect, size) in run.figures}
        measured = {size: figure for size, figure in figures.items() if figure.repeats}
        if figures:
            times = (
                units.seconds(measured[size].seconds) + ("" if measured[size].verified else " ?")
                if size in measured
                else failures.get((name, size), "·")
                for size in sizes
            )
            largest = [COLUMNS[extra](measured[max(measured)], run) if measured else "·" for extra in extras]
            rows.append((safe_text(name) + ("" if name.is_lossless else " (lossy)"), *times, *largest))
    return table((aspect.capitalize(), *(f"{size:,}" for size in sizes), *extras), rows)


EPOCH_HEAD = (
    "by DataLoader", "workers", "img/s", "first batch", "waiting", "utilisation", "feeds", "CPU", "read", "memory",
    "/dev/shm", "best, bound by",
)  # fmt: skip


def epoch_rows(run: Run, aspect: Aspect) -> list[tuple[Configuration, *tuple[str, ...]]]:
    """What epochs took, one row a configuration and number of workers, for the columns of ``EPOCH_HEAD``."""
    from backends.analysis.epochs import accelerators_fed, bound_of

    rows: list[tuple[Configuration, *tuple[str, ...]]] = []
    figures = [one for one in run.figures.values() if one.aspect is aspect]
    for figure in (one for name in configurations(run.plan) for one in figures if one.configuration == name):
        for facts in figure.epochs:
            fed = accelerators_fed(facts, figure.count, run.plan)
            rows.append(
                (
                    figure.configuration,
                    f"{facts.workers}",
                    units.rate(figure.count / facts.seconds).removesuffix(" img/s"),
                    units.seconds(facts.first_batch),
                    "·" if fed is None else f"{facts.waiting:.0%}",
                    "·" if facts.utilisation is None else f"{facts.utilisation:.0%}",
                    "·" if fed is None else f"{fed:.1f}",
                    units.seconds(facts.cpu_seconds),
                    units.size(facts.bytes_read),
                    units.size(facts.memory_growth),
                    units.size(facts.shared_bytes),
                    bound_of(facts, figure.epochs) if facts == figure.best_epoch else "",
                )
            )
    return rows


_OF_STORES = ("durable", "on disk", "apparent", "files")


def _footnotes(result: Run) -> list[str]:
    shown = [one for one in result.measurements if one.shown]
    verified = sum(one.verified for one in shown)
    lossy = any(one.verified and not one.configuration.is_lossless for one in shown)
    repeats = max((figure.repeats for figure in result.figures.values()), default=0)
    most = "" if result.outcome == "finished" else "at most "
    statistic = ("nothing measured", "one measurement")[repeats] if repeats <= 1 else f"median of {most}{repeats}"
    caches = "reads from memory (warm)" + (" or from the disk (cold)" if COLD in result.plan.caches else "")
    lines = [
        f"{safe_text(result.dataset.kind)}, {safe_text(result.dataset.split)}. Times: {statistic}, {caches}; stores "
        f'without syncing to the disk, "durable" with it.',
        f"{verified:,} of {len(shown):,} trials were done and every image compared with the original. Decoding the "
        f"images took {units.seconds(result.staging_seconds)} and is in no time above.",
        *(["Times with a ? were not verified."] if verified < sum(one.outcome == "ok" for one in shown) else []),
        *(["Lossy images were compared with what their codec made of the original."] if lossy else []),
        f"{_place(result.environment)}.",
    ]
    if not verified and (cheapest := min((one.predicted_seconds or 0.0 for one in result.failures), default=0.0)):
        lines.append(f"Nothing fits into the time limit: the shortest trial takes about {units.spoken(cheapest)}.")
    if limits := limits_sentence(result.figures.values()):
        lines.append(limits)
    if result.outcome == "cancelled":
        lines.append("The run was stopped; what was measured is above.")
    if result.message:
        lines.append(safe_text(result.message, limit=500))
    return lines


def _place(environment: Environment) -> str:
    mounts = ", ".join(f"{safe_text(mount.point)} ({safe_text(mount.filesystem)})" for mount in environment.mounts)
    return f"On {safe_text(environment.cpu)}, {environment.cores} cores, {mounts}"


HEAD = ("configuration", "images", *COLUMNS)


def number_rows(run: Run, series: Known, aspect: Aspect) -> list[tuple[str, ...]]:
    """One row a configuration and size, the largest size first, for the columns of ``HEAD``; nothing is aligned."""
    shown = [figure for figure in run.figures.values() if figure.aspect is aspect and figure.configuration in series]
    order = {name: index for index, name in enumerate(series)}
    rows = []
    for figure in sorted(shown, key=lambda figure: (-figure.count, order[figure.configuration])):
        name = f"{series[figure.configuration].mark} {safe_text(figure.configuration, 60)}"
        texts = {heading: write(figure, run) for heading, write in COLUMNS.items()}
        if not figure.repeats:
            texts["median"] = f"! {run.failed_cells[figure.cell].outcome}"
        rows.append((name, f"{figure.count:,}", *texts.values()))
    return rows
