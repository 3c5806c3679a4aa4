"""The report of the article's experiment, "Three Ways of Storing and Accessing Lots of Images in Python".

Its figures of 2019 are at https://realpython.com/storing-images-in-python/.  What its code does is measured in the run
too.  The sentences of ``article.txt`` say why its conclusions change.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from backends import units
from backends.bench.measurement import Aspect
from tui.chart_data import Bar, Bars, Curve, TimeChart
from tui.reports.formats import fill
from tui.reports.model import Row, Section, Table
from tui.reports.svg import variant
from tui.run_charts import time_curve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from backends.analysis.figures import Figure
    from backends.runs.run import Run
    from tui.labels import Known, Series

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

    def __init__(self, run: Run) -> None:
        self._figures: dict[tuple[str, str, int], Figure] = {
            (figure.configuration.method, figure.aspect, figure.count): figure
            for figure in run.figures.values()
            if figure.repeats
        }

    def get(self, method: str, aspect: str, count: int) -> Figure | None:
        return self._figures.get((method, aspect, count))

    def all(self, method: str, aspect: str) -> list[Figure]:
        """The figures of all counts, in their order."""
        return [self._figures[key] for key in sorted(self._figures) if key[:2] == (method, aspect)]

    def largest(self, aspect: str, methods: Iterable[str]) -> int:
        """The largest count at which all methods have a figure; 0 without one."""
        counts = [{figure.count for figure in self.all(method, aspect)} for method in methods]
        return max(set.intersection(*counts), default=0)

    def fastest_first(self, methods: Iterable[str], aspect: str, count: int) -> list[str]:
        return sorted(methods, key=lambda method: (self._figures[method, aspect, count].seconds or 0.0, method))

    def smallest_first(self, methods: Iterable[str], field: str, count: int) -> list[str]:
        return sorted(methods, key=lambda method: int(getattr(self._figures[method, "store", count], field) or 0))

    def ranked(self, claim: Claim, methods: Sequence[str]) -> list[tuple[float, str]]:
        """What a claim is about, of each format, the least first; empty where it was not measured of all three."""
        count = min(self.largest(aspect, methods) for aspect in claim.aspects)
        if not count:
            return []
        of_each = (
            (claim.value(*(self._figures[method, aspect, count] for aspect in claim.aspects)), way)
            for way, method in zip(METHODS, methods, strict=True)
        )
        return sorted(of_each)


class Claim(NamedTuple):
    """A statement of the article: the value that it is about, and whether it holds of the formats ranked by that."""

    text: str
    aspects: tuple[Aspect, ...]
    value: Callable[..., float]
    write: Callable[[float], str]
    holds: Callable[[list[tuple[float, str]]], bool]


def _seconds(figure: Figure) -> float:
    return figure.seconds or 0.0


def _allocated(figure: Figure) -> float:
    return float(figure.bytes_allocated or 0)


def _ratio(store: Figure, read: Figure) -> float:
    return _seconds(store) / _seconds(read)


def _all_below(seconds: float) -> Callable[[list[tuple[float, str]]], bool]:
    return lambda ranked: ranked[-1][0] < seconds


def _ends(*, first: str = "", last: str = "") -> Callable[[list[tuple[float, str]]], bool]:
    return lambda ranked: first in ("", ranked[0][1]) and last in ("", ranked[-1][1])


CLAIMS = (
    Claim("Each saves one image very fast: in less than 10 ms.", (Aspect.STORE_ONE,), _seconds, units.seconds,
          _all_below(0.01)),
    Claim("LMDB takes the most disk for one image.", (Aspect.STORE_ONE,), _allocated, units.size, _ends(last="LMDB")),
    Claim("PNG files take the longest to store many images.", (Aspect.STORE,), _seconds, units.seconds,
          _ends(last="PNG files")),
    Claim("One image is read a little faster from its PNG file.", (Aspect.READ_ONE,), _seconds, units.seconds,
          _ends(first="PNG files")),
    Claim("Each reads one image very fast: in less than 5 ms.", (Aspect.READ_ONE,), _seconds, units.seconds,
          _all_below(0.005)),
    Claim("PNG files take the longest to read many images.", (Aspect.READ,), _seconds, units.seconds,
          _ends(last="PNG files")),
    Claim("Writing takes much longer than reading for PNG files, less so for LMDB and HDF5 (write / read).",
          (Aspect.STORE, Aspect.READ), _ratio, units.ratio, _ends(last="PNG files")),
    Claim("Many images take the least disk as PNG files, the most in LMDB.", (Aspect.STORE,), _allocated, units.size,
          _ends(first="PNG files", last="LMDB")),
)  # fmt: skip


def article_sections(run: Run, series: Known) -> tuple[Section, ...]:
    """Its claims, single images, many images, disk, and what changes why; what was not measured is left out."""
    figures, by_method = Figures(run), {name.method: shown for name, shown in series.items()}
    article, ours = zip(*METHODS.values(), strict=True)
    block_bytes = max((mount.block_bytes for mount in run.environment.mounts), default=0)
    changes = fill("article.txt", figures=figures, article=article, ours=ours, block_bytes=block_bytes)
    count = figures.largest("store", EVERY)
    return (
        Section("The article's statements", tables=_claims(figures, article, ours)),
        Section("The article: one image", tables=_one_image(figures), lists=((SOURCE,),)),
        Section("The article: many images", _time_charts(figures, by_method)),
        Section("The article: disk usage", _disk_chart(figures, by_method, count), (_disk(figures),)),
        Section("Why its conclusions change", lists=(tuple(filter(None, changes.splitlines())),)),
    )


def _claims(figures: Figures, article: Sequence[str], ours: Sequence[str]) -> tuple[Table, ...]:
    """Each statement, what was measured of it with the article's code and with this program, and whether it holds."""
    rows: list[Row] = []
    for claim in CLAIMS:
        cells: list[str] = []
        for methods in (article, ours):
            ranked = figures.ranked(claim, methods)
            measured = ", ".join(f"{way} {claim.write(value)}" for value, way in ranked)
            cells.append(f"{'holds' if claim.holds(ranked) else 'does not hold'}\n{measured}" if ranked else "·")
        if set(cells) != {"·"}:
            rows.append((claim.text, *cells))
    head = ("the article says", "its code on your machine", "this program on your machine")
    return (Table(head, tuple(rows), left=3),) if rows else ()


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


def _time_charts(figures: Figures, series: Mapping[str, Series]) -> tuple[tuple[str, TimeChart], ...]:
    """Storage and read time, linear and logarithmic; then a chart of each format."""

    def curves(aspect: str, methods: Sequence[str]) -> list[Curve]:
        every = ((series[method], figures.all(method, aspect)) for method in methods if method in series)
        return [replace(time_curve(shown, known), name=shown.text) for shown, known in every if known]

    def of_format(pair: Sequence[str], aspect: str) -> list[Curve]:
        return [
            replace(curve, name=f"{aspect}, {'the article' if curve.name == pair[0].removesuffix('+raw') else 'here'}",
                    marker=variant(curve.marker, hollow=aspect == "read"))
            for curve in curves(aspect, pair)
        ]  # fmt: skip

    def chart(drawn: list[Curve], y_label: str, log: bool) -> TimeChart:
        counts = sorted({int(count) for curve in drawn for count, _ in curve.points})
        return TimeChart(tuple(drawn), tuple(counts), "Number of images", y_label, log)

    charts = [
        (title, chart(curves(aspect, EVERY), f"Seconds to {aspect}", log))
        for aspect, word in (("store", "Storage"), ("read", "Read"))
        for title, log in ((f"{word} time", False), (f"Log {word.lower()} time", True))
    ]
    for way, pair in METHODS.items():
        charts.append((way, chart(of_format(pair, "store") + of_format(pair, "read"), "Seconds", True)))
    return tuple((title, chart) for title, chart in charts if chart.curves)


def _disk_chart(figures: Figures, series: Mapping[str, Series], count: int) -> tuple[tuple[str, Bars], ...]:
    """Allocated and apparent bytes of the largest number of images that all methods stored."""
    bars = []
    for method in EVERY:
        store = figures.get(method, "store", count)
        if store is not None and store.bytes_allocated:
            shown, apparent = series[method], f"{units.size(store.bytes_apparent)} apparent"
            size = store.bytes_allocated
            bars.append(Bar(shown.text, shown.mark, shown.role, size, units.size(size), apparent))
    return ((f"Disk usage of {count:,} images", Bars("Disk usage", tuple(bars))),) if bars else ()


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
