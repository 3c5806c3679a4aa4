"""Data model of a report: sections with charts, tables, lists and code, whatever the format of the file."""

from __future__ import annotations

from dataclasses import dataclass

from tui.chart_data import Chart
from tui.labels import Series

Row = tuple[str | Series, ...]


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
class Section:
    """A heading and what is below it, in the order of the fields; charts have their captions."""

    title: str
    charts: tuple[tuple[str, Chart], ...] = ()
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
