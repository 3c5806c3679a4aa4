"""A report as Markdown.  Charts are left out: their figures are in the tables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tui.reports.model import Code, Name, Sentences, Table
from tui.text import safe_text

if TYPE_CHECKING:
    from tui.reports.model import Block, Report

_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~&])")
"""What Markdown, or HTML in it, would take for something else than text."""


def to_markdown(report: Report) -> str:
    """Headings, lists and tables."""
    parts = [f"# {_text(report.title)}", *map(_text, report.lead)]
    for section in report.sections:
        blocks = [text for block in section.blocks if (text := _block(block))]
        parts += [f"## {_text(section.title)}", *blocks] if blocks else []
    return "\n\n".join(parts) + "\n"


def _block(block: Block) -> str:
    match block:
        case Table():
            title = [f"**{_text(block.title)}**", ""] if block.title else []
            rule = [("---" if column < block.left else "---:") for column in range(len(block.head))]
            rows = ["| " + " | ".join(row) + " |" for row in (map(_text, block.head), rule, *map(_row, block.rows))]
            return "\n".join((*title, *rows))
        case Sentences():
            return "\n".join(f"- {_text(line)}" for line in block.lines)
        case Code():
            return "\n".join(f"    {safe_text(line, 10_000)}" for line in block.text.splitlines())
    return ""


def _row(row: tuple[str | Name, ...]) -> list[str]:
    return [_text(cell) for cell in row]


def _text(value: str | Name) -> str:
    if isinstance(value, Name):
        value = f"{value.mark} {value.text}".strip()
    main, _, around = value.partition("\n")
    return _SPECIAL.sub(r"\\\1", safe_text(main, 1000) + (f" ({safe_text(around, 1000)})" if around else ""))
