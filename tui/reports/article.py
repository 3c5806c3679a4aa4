"""Tables and charts of "Three Ways of Storing and Accessing Lots of Images in Python", with the figures of a run.

The figures of 2019 are at https://realpython.com/storing-images-in-python/.  What the article's code does is measured
in the run too.  The sentences of ``article.txt`` say where its conclusions change.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from backends import units
from tui.reports.formats import fill
from tui.reports.model import Chart, Curve, Name, Names, Point, Row, Section, Table, time_curve
from tui.reports.svg import variant

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from backends.analysis.figures import Figure
    from backends.bench.configuration import Configuration
    from backends.runs.run import Run

SOURCE = (
    "The figures of 2019 are those of realpython.com/storing-images-in-python, on another machine; "
    "its code here is what that code does, measured in this run."
)
METHODS = {"PNG files": ("article-png+raw", "files+png"), "LMDB": ("article-lmdb+raw", "lmdb+raw"),
           "HDF5": ("article-hdf5+raw", "hdf5+raw")}  # fmt: skip
"""For each format, the article's method and this program's."""
EVERY = tuple(method for methods in METHODS.values() for method in methods)

_SIZES = (10, 100, 1_000, 10_000, 100_000)
_PUBLISHED = {
    "PNG files": (1.915e-3, "8 K", 1.61970e-3, (24, 204, 2_004, 20_032, 200_296)),
    "LMDB": (1.203e-3, "32 K", 4.52063e-3, (60, 420, 4_000, 39_000, 393_000)),
    "HDF5": (8.243e-3, "8 K", 1.98036e-3, (36, 304, 2_900, 29_000, 293_000)),
}
"""Seconds to save one image, "memory" that it takes, seconds to read it, and KB of as many images as in ``_SIZES``."""


class Figures:
    """The figures of a run by method (``files+png``), aspect and count."""

    def __init__(self, run: Run, methods: Mapping[Configuration, str]) -> None:
        known = [figure for figure in run.figures.values() if figure.repeats and figure.configuration in methods]
        self._figures: dict[tuple[str, str, int], Figure] = {
            (methods[figure.configuration], figure.aspect, figure.count): figure for figure in known
        }

    def get(self, method: str, aspect: str, count: int) -> Figure | None:
        return self._figures.get((method, aspect, count))

    def all(self, method: str, aspect: str) -> list[Figure]:
        """Return the figures of all counts, in their order."""
        return [self._figures[key] for key in sorted(self._figures) if key[:2] == (method, aspect)]

    def largest(self, aspect: str, methods: Iterable[str]) -> int:
        """Return the largest count at which all methods have a figure; 0 without one."""
        counts = [{figure.count for figure in self.all(method, aspect)} for method in methods]
        return max(set.intersection(*counts), default=0)

    def fastest_first(self, methods: Iterable[str], aspect: str, count: int) -> list[str]:
        return sorted(methods, key=lambda method: (self._figures[method, aspect, count].seconds or 0.0, method))

    def smallest_first(self, methods: Iterable[str], field: str, count: int) -> list[str]:
        return sorted(methods, key=lambda method: int(getattr(self._figures[method, "store", count], field) or 0))


def article_sections(run: Run, names: Names) -> tuple[Section, ...]:
    """Return sections on single images, many images, disk, and what changes; what was not measured is left out."""
    methods = {name: name.method for name in names}
    figures = Figures(run, methods)
    article, ours = zip(*METHODS.values(), strict=True)
    block_bytes = max((mount.block_bytes for mount in run.environment.mounts), default=0)
    changes = fill("article.txt", figures=figures, article=article, ours=ours, block_bytes=block_bytes)
    charts = _charts(figures, {method: names[name] for name, method in methods.items()})
    return (
        Section("The article: one image", tables=_one_image(figures), lists=((SOURCE,),)),
        Section("The article: many images", charts=tuple(chart for chart in charts[:-1] if chart.curves)),
        Section("The article: disk usage", tuple(chart for chart in charts[-1:] if chart.curves), (_disk(figures),)),
        Section("Where the article's conclusions change, and why", lists=(tuple(filter(None, changes.splitlines())),)),
    )


def _one_image(figures: Figures) -> tuple[Table, ...]:
    """The article's two tables of one image; "Memory" is its word for bytes on disk."""
    save: list[Row] = []
    read: list[Row] = []
    for way, methods in METHODS.items():
        saved_in, memory, read_in, _ = _PUBLISHED[way]
        stores = [figures.get(method, "store-one", 1) for method in methods]
        reads = [figures.get(method, "read-one", 1) for method in methods]
        sizes = [units.size(store.bytes_allocated if store else None) for store in stores]
        save.append((way, units.seconds(saved_in), *map(_time, stores), memory, *sizes))
        read.append((way, units.seconds(read_in), *map(_time, reads)))
    columns = ("its code here", "this program")
    tables = {
        "store-one": Table(("", "2019", *columns, "Memory, 2019", *columns), tuple(save),
                           "Save Single Image + Meta, and Memory (allocated on disk)"),
        "read-one": Table(("", "2019", *columns), tuple(read), "Read Single Image + Meta"),
    }  # fmt: skip
    return tuple(table for aspect, table in tables.items() if any(figures.all(method, aspect) for method in EVERY))


def _time(figure: Figure | None) -> str:
    if figure is None:
        return "·"
    return units.seconds(figure.seconds) + (f"\n{units.span(figure.range)}" if figure.range else "")


def _charts(figures: Figures, names: Mapping[str, Name]) -> list[Chart]:
    """Storage and read time, linear and logarithmic; a chart of each format; disk usage."""

    def curves(aspect: str, methods: Sequence[str]) -> tuple[Curve, ...]:
        return tuple(time_curve(names[name], known) for name in methods if (known := figures.all(name, aspect)))

    def of_format(pair: Sequence[str], aspect: str) -> list[Curve]:
        found = []
        for curve in curves(aspect, pair):
            who = "the article" if curve.name == names.get(pair[0]) else "here"
            mark = variant(curve.name.mark, hollow=aspect == "read")
            found.append(replace(curve, name=replace(curve.name, text=f"{aspect}, {who}", mark=mark)))
        return found

    x_label = "Number of images"
    charts = [
        Chart(title, x_label, f"Seconds to {aspect}", curves(aspect, EVERY), log)
        for aspect, word in (("store", "Storage"), ("read", "Read"))
        for title, log in ((f"{word} time", False), (f"Log {word.lower()} time", True))
    ]
    for way, pair in METHODS.items():
        charts.append(Chart(way, x_label, "Seconds", (*of_format(pair, "store"), *of_format(pair, "read"))))
    disk = []
    for method in EVERY:
        points = [Point(fig.count, fig.bytes_allocated) for fig in figures.all(method, "store") if fig.bytes_allocated]
        disk += [Curve(names[method], tuple(points))] if points else []
    return [*charts, Chart("Disk usage", x_label, "Allocated on disk", tuple(disk), y_unit="bytes")]


def _disk(figures: Figures) -> Table:
    """Sizes as published and as measured; nothing was published for other counts than the article's."""
    measured = {method: figures.all(method, "store") for method in EVERY}
    counts = sorted({store.count for stores in measured.values() for store in stores} | set(_SIZES))
    rows: list[tuple[str, ...]] = []
    for way, pair in METHODS.items():
        published = dict(zip(_SIZES, _PUBLISHED[way][3], strict=True))
        rows.append((f"{way}, published (KB)", *(f"{published[n]:,}" if n in published else "·" for n in counts)))
        for method, who in zip(pair, ("its code here", "this program"), strict=True):
            if measured[method]:
                rows.append((f"{way}, {who}", *(_sizes(figures.get(method, "store", count)) for count in counts)))
    return Table(("allocated on disk", *(f"{count:,}" for count in counts)), tuple(rows))


def _sizes(store: Figure | None) -> str:
    return f"{units.size(store.bytes_allocated)}\n{units.size(store.bytes_apparent)} apparent" if store else "·"
