"""Reports of a run as files: JSON, CSV, Markdown and HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backends.runs.run import Result

KINDS = ("json", "csv", "markdown", "html")


def render(run: Result, kind: str) -> str:
    """Return the text of a report of one of ``KINDS``."""
    if kind == "json":
        from backends.runs.run import to_json

        return to_json(run)
    if kind == "csv":
        from tui.reports.formats import to_csv

        return to_csv(run)
    from tui.reports.contents import make_report
    from tui.reports.formats import to_html, to_markdown

    return to_html(make_report(run)) if kind == "html" else to_markdown(make_report(run))
