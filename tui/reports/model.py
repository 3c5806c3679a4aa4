"""The parts of a report: names, charts, tables, sections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backends.bench.configuration import is_lossless, is_reference
from backends.bench.schedule import configurations
from tui.labels import identify

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backends.analysis.figures import Figure
    from backends.analysis.prediction import Predicted
    from backends.runs.run import Result


IMAGES, SECONDS, BYTES, RATE = "images", "seconds", "bytes", "rate"
"""What an axis counts."""


@dataclass(frozen=True, slots=True)
class Name:
    """A configuration: its text, its mark, and whose colour it has; ``reference`` is grey."""

    text: str
    mark: str = "★"
    series: str = "other"


Row = tuple[str | Name, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of texts, the first ``left`` columns of words, the others of figures.

    A figure's second line is what surrounds it: the range of its repeats.
    """

    head: Row
    rows: tuple[Row, ...]
    title: str = ""
    left: int = 1


@dataclass(frozen=True, slots=True)
class Point:
    """A value with the range of its repeats."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Curve:
    """Measured points, and what was predicted behind the last one."""

    name: Name
    points: tuple[Point, ...]
    predicted: Point | None = None


@dataclass(frozen=True, slots=True)
class Chart:
    """Curves; ``across`` and ``up`` say what the axes count."""

    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    log: bool = True
    across: str = IMAGES
    up: str = SECONDS


@dataclass(frozen=True, slots=True)
class Bars:
    """What each configuration takes on disk: ``(name, allocated, apparent)`` in bytes."""

    title: str
    rows: tuple[tuple[Name, int, int], ...]


@dataclass(frozen=True, slots=True)
class Sentences:
    """One a line."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Code:
    """Text as it is typed."""

    text: str


Block = Table | Chart | Bars | Sentences | Code


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Report:
    title: str
    lead: tuple[str, ...]
    sections: tuple[Section, ...]


Names = dict[str, Name]
Cells = dict[tuple[str, int], "Figure"]


def names_of(result: Result) -> Names:
    """How each configuration is shown, with references in grey."""
    found = {}
    for text, series in identify(configurations(result.plan)).items():
        reference = is_reference(text)
        shown = text.removesuffix("+raw") if reference else text + ("" if is_lossless(text) else " (lossy)")
        found[text] = Name(shown, series.mark, "reference" if reference else series.role.removeprefix("$series-"))
    return found


def figures_at(result: Result, aspect: str) -> Cells:
    """The figures of an aspect by configuration and count."""
    return {(one.configuration, one.count): one for one in result.figures if one.aspect == aspect}


def curve(name: Name, figures: Iterable[Figure], predicted: Predicted | None = None, images: int = 0) -> Curve:
    """The medians with their intervals, and what is predicted for ``images``."""
    points = [
        Point(one.count, one.seconds, one.seconds_low, one.seconds_high)
        for one in sorted(figures, key=lambda one: one.count) if one.seconds
    ]  # fmt: skip
    ahead = predicted is not None and points and images > points[-1].x and not predicted.unsure
    return Curve(
        name,
        tuple(points),
        Point(images, predicted.value, predicted.low, predicted.high) if predicted is not None and ahead else None,
    )
