"""What a shell completes: datasets, configurations, runs and values of options, by click's own mechanism."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from backends.bench.plan import PlanField
from backends.errors import ImgstoreError

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def datasets(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Paths, or ``sample`` where no path begins like it."""
    if begun and "sample".startswith(begun) and not any(Path().glob(f"{begun}*")):
        return [CompletionItem("sample")]
    return [CompletionItem(begun, type="file")]


def files(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Paths."""
    return [CompletionItem(begun, type="file")]


def configurations(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Backends; behind the whole name of one, its codecs."""
    from backends.registry import backend_entries, codec_entries

    entries, codecs = backend_entries(), codec_entries()
    found = {name: entry.title for name, entry in entries.items()}
    if entry := entries.get(begun.partition("+")[0]):
        found |= {f"{entry.name}+{codec}": codecs[codec].title for codec in entry.codecs or codecs}
    return [CompletionItem(name, help=title) for name, title in found.items() if name.startswith(begun)]


def runs(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """``last``, and the ids of earlier runs."""
    from backends.runs.history import LAST, list_runs
    from tui.settings import jobs_folder
    from tui.text import safe_text

    found = {LAST: "the newest"}
    with suppress(ImgstoreError):
        found |= {run.id: safe_text(f"{run.state} {run.dataset}", 60) for run in list_runs(jobs_folder())}
    return [CompletionItem(name, help=what) for name, what in found.items() if name.startswith(begun)]


def values(field: PlanField) -> Completer:
    """The paths of a field, or the names that it knows, behind a comma too where it takes many."""
    if field.kind == "text":
        return files

    def complete(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
        before = begun[: begun.rfind(",") + 1] if field.many else ""
        return [CompletionItem(before + name) for name in field.known if (before + name).startswith(begun)]

    return complete
