"""Reports of a run as files: JSON, CSV, Markdown and HTML."""

from backends.runs.run import Run
from backends.runs.saved import to_json


def render(run: Run, kind: str) -> str:
    """Return the text of a report: ``json``, ``csv``, ``markdown`` or ``html``."""
    if kind == "json":
        return to_json(run)
    from tui.reports.contents import make_report
    from tui.reports.formats import to_csv, to_html, to_markdown

    if kind == "csv":
        return to_csv(run)
    return to_html(make_report(run)) if kind == "html" else to_markdown(make_report(run))
