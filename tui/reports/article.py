"""The tables and charts of "Three Ways of Storing and Accessing Lots of Images in Python", made of this run.

Its figures of 2019 are at https://realpython.com/storing-images-in-python/; what its code does is measured here too,
beside this program's ways.  Where its conclusions change is said in sentences that are computed from the figures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from backends import units
from backends.bench.configuration import Configuration
from tui.reports.model import BYTES, Chart, Curve, Point, Section, Sentences, Table, curve
from tui.reports.svg import twin

if TYPE_CHECKING:
    from backends.analysis.figures import Figure
    from backends.runs.run import Result
    from tui.reports.model import Names

SOURCE = (
    "The figures of 2019 are those of realpython.com/storing-images-in-python, on another machine; "
    "its code here is what that code does, measured in this run."
)
WAYS = {"PNG files": ("article-png+raw", "files+png"), "LMDB": ("article-lmdb+raw", "lmdb+raw"),
        "HDF5": ("article-hdf5+raw", "hdf5+raw")}  # fmt: skip
"""The article's way, and ours."""

_SAVED = {"PNG files": (1.915e-3, "8 K"), "LMDB": (1.203e-3, "32 K"), "HDF5": (8.243e-3, "8 K")}
_READ = {"PNG files": 1.61970e-3, "LMDB": 4.52063e-3, "HDF5": 1.98036e-3}
_KILOBYTES = {
    "PNG files": (24, 204, 2_004, 20_032, 200_296),
    "LMDB": (60, 420, 4_000, 39_000, 393_000),
    "HDF5": (36, 304, 2_900, 29_000, 293_000),
}
_SIZES = (10, 100, 1_000, 10_000, 100_000)


@dataclass(frozen=True, slots=True)
class _Run:
    """The figures of a run, asked for by method (``files+png``), aspect and count."""

    figures: dict[tuple[str, str, int], Figure]
    names: Names
    block_bytes: int

    def at(self, method: str, aspect: str, count: int) -> Figure | None:
        return self.figures.get((method, aspect, count))

    def seconds(self, method: str, aspect: str, count: int) -> float | None:
        found = self.at(method, aspect, count)
        return found.seconds if found else None

    def all(self, method: str, aspect: str) -> list[Figure]:
        return [one for (name, use, _), one in self.figures.items() if (name, use) == (method, aspect)]

    def largest(self, aspect: str, *methods: str) -> int:
        """The largest count at which all methods have a figure; 0 without one."""
        counts = [{one.count for one in self.all(method, aspect)} for method in methods]
        return max(set.intersection(*counts), default=0)

    def line(self, method: str, aspect: str, who: str = "") -> Curve | None:
        found, name = self.all(method, aspect), self.names.get(method)
        if name and who:
            name = replace(name, text=f"{aspect}, {who}", mark=twin(name.mark, hollow=aspect == "read"))
        return curve(name, found) if found and name else None

    def disk(self, method: str) -> Curve | None:
        found = sorted(self.all(method, "store"), key=lambda one: one.count)
        points = tuple(Point(one.count, one.bytes_allocated) for one in found if one.bytes_allocated)
        return Curve(self.names[method], points) if points and method in self.names else None


def article_sections(result: Result, names: Names) -> tuple[Section, ...]:
    """Single images, many images, disk, and what changes; whatever was not measured is left out."""
    methods = {text: Configuration.parse(text).method for text in names}
    figures = {(methods[one.configuration], one.aspect, one.count): one for one in result.figures
               if one.repeats and one.configuration in methods}  # fmt: skip
    block = max((one.block_bytes for one in result.environment.mounts), default=0)
    run = _Run(figures, {methods[text]: name for text, name in names.items()}, block)
    charts = [
        _chart(f"{log}{word} time" if not log else f"Log {word.lower()} time", f"Seconds to {verb}", bool(log),
               [run.line(method, aspect) for ways in WAYS.values() for method in ways])
        for word, verb, aspect in (("Storage", "store", "store"), ("Read", "read", "read"))
        for log in ("", "Log ")
    ]  # fmt: skip
    charts += [
        _chart(way, "Seconds", True, [run.line(method, aspect, who) for aspect in ("store", "read")
                                      for method, who in ((article, "the article"), (ours, "here"))])
        for way, (article, ours) in WAYS.items()
    ]  # fmt: skip
    usage = _chart(
        "Disk usage", "Allocated on disk", True, [run.disk(method) for ways in WAYS.values() for method in ways]
    )
    changes = tuple(sentence for rule in _RULES for sentence in rule(run))
    return (
        Section("The article: one image", (*_single(run), Sentences((SOURCE,)))),
        Section("The article: many images", tuple(one for one in charts if one.curves)),
        Section("The article: disk usage", ((replace(usage, up=BYTES),) if usage.curves else ()) + _usage(run)),
        Section("Where the article's conclusions change, and why", (Sentences(changes),)),
    )


def _chart(title: str, y_label: str, log: bool, curves: list[Curve | None]) -> Chart:
    return Chart(title, "Number of images", y_label, tuple(one for one in curves if one), log)


def _single(run: _Run) -> Iterator[Table]:
    stored = {way: [run.at(method, "store-one", 1) for method in ways] for way, ways in WAYS.items()}
    if any(one for found in stored.values() for one in found):
        rows = tuple(
            (way, units.seconds(_SAVED[way][0]), *(_time(one) for one in found), _SAVED[way][1],
             *(units.size(one.bytes_allocated if one else None) for one in found))
            for way, found in stored.items()
        )  # fmt: skip
        head = ("", "2019", "its code here", "this program", "Memory, 2019", "its code here", "this program")
        yield Table(head, rows, "Save Single Image + Meta, and Memory (allocated on disk)")
    read = {way: [run.at(method, "read-one", 1) for method in ways] for way, ways in WAYS.items()}
    if any(one for found in read.values() for one in found):
        rows = tuple((way, units.seconds(_READ[way]), *(_time(one) for one in found)) for way, found in read.items())
        yield Table(("", "2019", "its code here", "this program"), rows, "Read Single Image + Meta")


def _time(figure: Figure | None) -> str:
    if figure is None:
        return "·"
    around = f"\n{units.span(figure.range)}" if figure.range else ""
    return units.seconds(figure.seconds) + around


def _usage(run: _Run) -> tuple[Table, ...]:
    counts = sorted({count for _, aspect, count in run.figures if aspect == "store"} | set(_SIZES))
    rows: list[tuple[str, ...]] = []
    for way, methods in WAYS.items():
        known = dict(zip(_SIZES, _KILOBYTES[way], strict=True))
        rows.append((f"{way}, published (KB)", *(f"{known[n]:,}" if n in known else "·" for n in counts)))
        for method, who in zip(methods, ("its code here", "this program"), strict=True):
            found = [run.at(method, "store", count) for count in counts]
            if any(found):
                rows.append((f"{way}, {who}", *(f"{units.size(one.bytes_allocated)}\n{units.size(one.bytes_apparent)} "
                                                "apparent" if one else "·" for one in found)))  # fmt: skip
    return (Table(("allocated on disk", *(f"{count:,}" for count in counts)), tuple(rows)),)


def _allocated(run: _Run) -> Iterator[str]:
    methods = tuple(ways[1] for ways in WAYS.values())
    count = run.largest("store", *methods)
    found = {method: run.at(method, "store", count) for method in methods}
    sizes = {name: (one.bytes_allocated, one.bytes_apparent) for name, one in found.items()
             if one and one.bytes_allocated and one.bytes_apparent}  # fmt: skip
    if len(sizes) < len(methods):
        return
    allocated, apparent = (sorted(sizes, key=lambda name: sizes[name][place]) for place in (0, 1))
    png = sizes["files+png"]
    says = "is the same" if allocated == apparent else "depends on which of the two is counted"
    yield (
        f"Disk: {count:,} PNG files have {units.size(png[1])} and take {units.size(png[0])} of blocks of "
        f"{run.block_bytes:,} bytes, {png[0] / png[1]:.1f} times as much. The order {says}: by what is allocated "
        f"{', '.join(allocated)}; by apparent size {', '.join(apparent)}; the article has PNG, HDF5, LMDB."
    )
    lmdb = run.at("article-lmdb+raw", "store", count)
    if lmdb and lmdb.bytes_allocated:
        yield (
            "LMDB keeps a record of more than half a page in pages of its own: the article's takes "
            f"{lmdb.bytes_allocated / count:,.0f} bytes an image where HDF5 takes {sizes['hdf5+raw'][0] / count:,.0f}."
        )


def _cold(run: _Run) -> Iterator[str]:
    methods = tuple(ways[1] for ways in WAYS.values())
    count = run.largest("read cold", *methods)
    if not count or count > run.largest("read", *methods):
        return
    orders = [_ordered(run, aspect, count, methods) for aspect in ("read", "read cold")]
    yield (
        f"Cache: the article reads what it has just written, so from memory. {count:,} images warm: {orders[0]}; "
        f"cold, from the disk: {orders[1]}."
    )


def _ordered(run: _Run, aspect: str, count: int, methods: tuple[str, ...]) -> str:
    found = sorted((run.seconds(name, aspect, count) or 0.0, name) for name in methods)
    return ", ".join(f"{name} {units.seconds(value)}" for value, name in found)


def _one_image(run: _Run) -> Iterator[str]:
    theirs, ours = (tuple(ways[place] for ways in WAYS.values()) for place in (0, 1))
    if run.largest("read-one", *theirs, *ours):
        slowest = max(theirs, key=lambda name: run.seconds(name, "read-one", 1) or 0.0)
        lmdb = (run.seconds("article-lmdb+raw", "read-one", 1) or 0.0) / (run.seconds("lmdb+raw", "read-one", 1) or 1.0)
        yield (
            f"One image: the article finds LMDB the slowest to read one; its code is slowest here with {slowest} "
            f"({_ordered(run, 'read-one', 1, theirs)}). Opened and read by this program: "
            f"{_ordered(run, 'read-one', 1, ours)}, LMDB in {units.ratio(1 / lmdb)} the time of the article's code."
        )


def _durable(run: _Run) -> Iterator[str]:
    methods = ("article-lmdb+raw", *(ways[1] for ways in WAYS.values()))
    count = run.largest("store", *methods)
    found = {name: one for name in methods if (one := run.at(name, "store", count))}
    if len(found) == len(methods):
        said = [f"{name} {units.seconds(one.seconds)} and {units.seconds(one.seconds_durable)} with sync"
                for name, one in found.items()]  # fmt: skip
        yield (
            "Durability: the article's LMDB syncs at its commit, inside its time, and its PNG and HDF5 never do. "
            f"{count:,} images: {'; '.join(said)}."
        )


def _copies(run: _Run) -> Iterator[str]:
    count = run.largest("read", "article-hdf5+raw", "hdf5+raw")
    theirs, ours = (run.seconds(name, "read", count) for name in ("article-hdf5+raw", "hdf5+raw"))
    if theirs and ours:
        yield (
            "Data type: the article reads HDF5 into one array, and astype copies it into another of the same type: "
            f"{units.seconds(theirs)} for {count:,} images; read in batches into one buffer, {units.seconds(ours)}."
        )


def _codec(run: _Run) -> Iterator[str]:
    for aspect in ("store", "read"):
        count = run.largest(aspect, "files+png", "files+raw", "lmdb+raw")
        png, raw, lmdb = (run.seconds(name, aspect, count) for name in ("files+png", "files+raw", "lmdb+raw"))
        if png and raw and lmdb:
            yield (
                f"Codec: to {aspect} {count:,} images, files+png takes {units.seconds(png)} and files+raw "
                f"{units.seconds(raw)}: PNG itself is {max(0.0, 1 - raw / png):.0%} of it. Of the factor of "
                f"{png / lmdb:.1f} between PNG files and LMDB, {raw / lmdb:.1f} is the container's."
            )


_RULES = (_allocated, _cold, _one_image, _durable, _copies, _codec)
