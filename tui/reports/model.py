"""A report as data, which Markdown and HTML both show: sections of sentences, tables and charts."""

from __future__ import annotations

from dataclasses import dataclass

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
