"""Data model of a report: sections with charts, tables, lists and code, whatever the format of the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from backends.bench.configuration import Configuration
from backends.bench.schedule import configurations
from tui.labels import identify

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backends.analysis.figures import Figure
    from backends.analysis.prediction import Predicted
    from backends.bench.plan import Plan

Unit = Literal["images", "seconds", "bytes", "rate"]


@dataclass(frozen=True, slots=True)
class Name:
    """How a configuration is shown: its text, its marker, and the series whose colour it has."""

    text: str
    mark: str = "★"
    series: str = "other"


Row = tuple[str | Name, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose first ``left`` columns hold words and are aligned to the left.

    A cell may have a second line, shown smaller: the range of a figure's repeats.
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
    """The measured points of one configuration, and the predicted point after them."""

    name: Name
    points: tuple[Point, ...]
    predicted: Point | None = None


@dataclass(frozen=True, slots=True)
class Chart:
    """Curves in one coordinate system; with a single point each, they are a scatter plot."""

    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    log: bool = True
    x_unit: Unit = "images"
    y_unit: Unit = "seconds"


@dataclass(frozen=True, slots=True)
class Bars:
    """Bytes on disk of each configuration: ``(name, allocated, apparent)``."""

    title: str
    rows: tuple[tuple[Name, int, int], ...]

    @property
    def most(self) -> int:
        return max((max(allocated, apparent) for _, allocated, apparent in self.rows), default=0)


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what is below it, in the order of the fields."""

    title: str
    charts: tuple[Chart | Bars, ...] = ()
    tables: tuple[Table, ...] = ()
    lists: tuple[tuple[str, ...], ...] = ()
    code: str = ""

    @property
    def empty(self) -> bool:
        return not (self.charts or self.tables or any(self.lists) or self.code)


@dataclass(frozen=True, slots=True)
class Report:
    """A title, paragraphs below it, and sections."""

    title: str
    lead: tuple[str, ...]
    sections: tuple[Section, ...]


Names = dict[Configuration, Name]


def names_of(plan: Plan) -> Names:
    """Return the name of each configuration of a plan; references are grey."""
    names = {}
    for text, series in identify(configurations(plan)).items():
        reference = text.is_reference
        shown = text.removesuffix("+raw") if reference else text + ("" if text.is_lossless else " (lossy)")
        names[text] = Name(shown, series.mark, "reference" if reference else series.role.removeprefix("$series-"))
    return names


def time_curve(name: Name, figures: Iterable[Figure], predicted: Predicted | None = None, images: int = 0) -> Curve:
    """Return the curve of median seconds by number of images; ``predicted`` is what ``images`` images would take."""
    ordered = sorted((figure for figure in figures if figure.seconds), key=lambda figure: figure.count)
    points = tuple(Point(fig.count, fig.seconds or 0.0, fig.seconds_low, fig.seconds_high) for fig in ordered)
    if predicted is None or predicted.unsure or not points or images <= points[-1].x:
        return Curve(name, points)
    return Curve(name, points, Point(images, predicted.value, predicted.low, predicted.high))
