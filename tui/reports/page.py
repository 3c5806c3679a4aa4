"""A report as one HTML file: no script, nothing from elsewhere, dark or light as the reader's system is."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from tui.reports.model import Bars, Chart, Code, Name, Sentences, Table
from tui.reports.svg import draw_bars, draw_chart
from tui.text import safe_text
from tui.theme import themes

if TYPE_CHECKING:
    from textual.theme import Theme

    from tui.reports.model import Block, Report

_STYLE = """
* { box-sizing: border-box }
body { margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 64rem; background: var(--background);
  color: var(--text); font: 15px/1.55 system-ui, -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .6rem }
h2 { font-size: 1.1rem; margin: 2.6rem 0 .7rem; padding-bottom: .3rem; border-bottom: 1px solid var(--line) }
h3 { font-size: .95rem; margin: 1.5rem 0 .4rem }
p { margin: .3rem 0; color: var(--dim) }
ul { margin: .6rem 0; padding-left: 1.1rem } li { margin: .25rem 0 }
.wide { overflow-x: auto; margin: .8rem 0 }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: .32rem .55rem; vertical-align: top; white-space: nowrap }
th { color: var(--dim); font-weight: 500; border-bottom: 1px solid var(--line) }
tbody tr + tr td { border-top: 1px solid var(--panel) }
.w { text-align: left } th:first-child, td:first-child { padding-left: 0 }
td.w:not(:first-child) { white-space: normal; overflow-wrap: anywhere }
small { display: block; color: var(--dim); font-size: .78em }
pre { background: var(--panel); padding: .8rem 1rem; overflow-x: auto; border-radius: 6px;
  font: 13px/1.5 "Fira Code", ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere }
figure { margin: 1rem 0 1.4rem } figcaption { font-weight: 600; font-size: .95rem }
svg { display: block; width: 100%; height: auto; font: 12.5px system-ui, "Noto Sans", "DejaVu Sans", sans-serif }
.axis { stroke: var(--line); fill: none } .grid { stroke: var(--panel) } .tick, .label { fill: var(--dim) }
.name { fill: var(--c) } .leader { stroke: var(--line); stroke-width: .7 }
.line { fill: none; stroke: var(--c); stroke-width: 1.8 } .ahead { stroke-dasharray: 5 4 }
.error { stroke: var(--c); fill: none; stroke-width: 1.2 } .solid { fill: var(--c); stroke: var(--background) }
.hollow { fill: var(--background); stroke: var(--c); stroke-width: 1.5 }
.apparent { fill: var(--c) } .allocated { fill: none; stroke: var(--c); stroke-width: 1.4 }
.half { fill: var(--c); fill-opacity: .4; stroke: var(--c); stroke-width: 1.5 }
.m { color: var(--c) } .s-reference { --c: var(--dim) }
"""


def to_html(report: Report) -> str:
    """The whole file."""
    dark, light = (one for one in themes() if one.name.endswith(("-dark", "-light")))
    series = sorted(name for name in dark.variables if name.startswith("series-"))
    style = (
        f":root {{ color-scheme: light dark; {_colours(light)} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {_colours(dark)} }} }}\n"
        + _STYLE
        + " ".join(f".{name.replace('series', 's')} {{ --c: var(--{name}) }}" for name in series)
    )
    body = [f"<h1>{_text(report.title)}</h1>", *(f"<p>{_text(line)}</p>" for line in report.lead)]
    for section in report.sections:
        body += [f"<section><h2>{_text(section.title)}</h2>", *map(_block, section.blocks), "</section>"]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(report.title)}</title><style>{style}</style></head>\n<body>\n" + "\n".join(body)
        + "\n</body></html>\n"
    )  # fmt: skip


def _colours(theme: Theme) -> str:
    found = {"background": theme.background, "panel": theme.panel, "text": theme.foreground}
    wanted = {name: value for name, value in theme.variables.items() if name.startswith("series-")}
    found |= {name: theme.variables[name] for name in ("dim", "line")} | wanted
    return "; ".join(f"--{name}: {value}" for name, value in found.items())


def _block(block: Block) -> str:
    match block:
        case Table():
            title = f"<h3>{_text(block.title)}</h3>" if block.title else ""
            rows = "".join(f"<tr>{_row(row, block.left, 'td')}</tr>" for row in block.rows)
            head = f"<thead><tr>{_row(block.head, block.left, 'th')}</tr></thead>" if any(block.head) else ""
            return f'{title}<div class="wide"><table>{head}<tbody>{rows}</tbody></table></div>'
        case Sentences():
            return f"<ul>{''.join(f'<li>{_text(line)}</li>' for line in block.lines)}</ul>" if block.lines else ""
        case Code():
            return f"<pre>{'<br>'.join(_text(line, 10_000) for line in block.text.splitlines())}</pre>"
        case Chart():
            drawn = draw_chart(block)
        case Bars():
            drawn = draw_bars(block)
    return f"<figure><figcaption>{_text(block.title)}</figcaption>{drawn}</figure>" if drawn else ""


def _row(cells: tuple[str | Name, ...], left: int, tag: str) -> str:
    return "".join(
        f"<{tag}{' class=w' if column < left else ''}>{_cell(cell)}</{tag}>" for column, cell in enumerate(cells)
    )


def _cell(cell: str | Name) -> str:
    if isinstance(cell, Name):
        return f'<span class="m s-{cell.series}">{_text(cell.mark)}</span> {_text(cell.text)}'
    main, _, around = cell.partition("\n")
    return _text(main) + (f"<small>{_text(around)}</small>" if around else "")


def _text(value: str, limit: int = 1000) -> str:
    return escape(safe_text(value, limit))
