"""Writes reports as HTML and Markdown, by the templates beside this file, and measurements as CSV."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from backends import units
from backends.bench.measurement import Measurement
from tui.reports import svg
from tui.text import safe_text
from tui.theme import themes

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.theme import Theme

    from backends.runs.run import Run
    from tui.reports.model import Report

LIMIT = 10_000
"""Characters of a text; longer ones are cut."""

_MARKDOWN = re.compile(r"([\\`*_\[\]<>#|~&])")
"""Characters that Markdown, or HTML in it, would not show as they are."""


def to_html(report: Report) -> str:
    """Return one HTML file without scripts or links to other files, light or dark as the reader's system is."""
    dark, light = (_colours(theme) for theme in themes() if theme.name.endswith(("-dark", "-light")))
    return fill("report.html", escape, report=report, light=light, dark=dark, svg=svg)


def _colours(theme: Theme) -> dict[str, str | None]:
    names = [name for name in theme.variables if name in ("dim", "line") or name.startswith("series-")]
    colours = {"background": theme.background, "panel": theme.panel, "text": theme.foreground}
    return colours | {name: theme.variables[name] for name in names}


def to_markdown(report: Report) -> str:
    """Return headings, lists and tables.  Charts are left out: their figures are in the tables."""
    return fill("report.md", escape_markdown, report=report, code=lambda line: Markup(safe_text(line, LIMIT)))


def escape_markdown(text: str) -> Markup:
    """Put a backslash before each character that has a meaning in Markdown."""
    return Markup(_MARKDOWN.sub(r"\\\1", text))


def fill(template: str, escape: Callable[[str], Markup] = Markup, **values: Any) -> str:
    """Fill in a template.  Everything that is inserted passes ``safe_text`` and ``escape``.

    Sentences and cells of a report are not escaped by default; ``to_html`` and ``to_markdown`` do so.
    """

    def finalize(value: object) -> Markup:
        if isinstance(value, Markup):  # The output of a macro.
            return value
        return escape(safe_text(f"{value:.1f}" if isinstance(value, float) else str(value), LIMIT))

    environment = Environment(
        loader=PackageLoader("tui.reports", ""),
        autoescape=True,
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals |= {"seconds": units.seconds, "size": units.size, "ratio": units.ratio}
    return environment.get_template(template).render(values)


def to_csv(run: Run) -> str:
    """Return a row for each measurement; the columns are its fields, and what it has of each phase and epoch.

    ``phases.write`` are the seconds of a phase, ``epochs.2.seconds`` those of an epoch with two workers.
    """
    rows = [asdict(measurement) for measurement in run.measurements if measurement.shown]
    for row in rows:
        row |= {f"phases.{phase}": seconds for phase, seconds in row["phases"].items()}
        row |= {f"epochs.{one['workers']}.{name}": value for one in row["epochs"] for name, value in one.items()}
    columns = [field.name for field in fields(Measurement) if field.name not in ("phases", "shown", "epochs")]
    phases = dict.fromkeys(column for row in rows for column in row if column.startswith(("phases.", "epochs.")))
    text = io.StringIO()
    writer = csv.DictWriter(text, [*columns, *phases], extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows({column: _csv_cell(value) for column, value in row.items()} for row in rows)
    return text.getvalue()


def _csv_cell(value: Any) -> Any:
    """Make a text harmless for terminals, and for spreadsheets, which would take ``=1+1`` for a formula."""
    if not isinstance(value, str):
        return value
    return ("'" if value[:1] in ("=", "+", "-", "@") else "") + safe_text(value, limit=1000)
