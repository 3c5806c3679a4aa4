"""Progress of a run on standard error: a bar on a terminal, a line every ten seconds in a pipe or a log."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Self

from backends import units
from tui.text import safe_text

if TYPE_CHECKING:
    from backends.runs.run import Run

LINE_SECONDS = 10.0


def say(text: str) -> None:
    """Write a line to standard error; where that is closed, go on without."""
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


class Progress:
    """Shows how far a run is while it is entered as a context."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        self._bar = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True, markup=False, highlight=False),
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        self._task = self._bar.add_task("starting", total=None)
        self._begin = self._last = time.monotonic()
        self._opened = False

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, run: Run) -> None:
        """Show what the run does now, and how many of its trials are done."""
        if run.start is not None and not self._opened:
            self._opened = True
            folders = ", ".join(map(safe_text, run.work))
            most = units.capacity(run.start.bytes_at_most)
            text = f"{run.trials} trials. Temporary files: up to {most} in {folders}, removed at the end."
            write = say if self._bar.disable else self._bar.console.out
            write(f"{safe_text(run.dataset.kind)}: {text}")
        self._bar.update(self._task, total=run.trials or None, completed=run.ended, description=_doing(run))
        now = time.monotonic()
        if self._bar.disable and now - self._last >= LINE_SECONDS:
            self._last = now
            say(f"{units.clock(now - self._begin)}  {run.ended} of {run.trials} trials done; {_doing(run)}")


def _doing(run: Run) -> str:
    if run.removing:
        return "removing the temporary files"
    if run.trial is not None:
        return f"{safe_text(run.trial.configuration)} {run.trial.operation} {run.trial.count:,}"
    return f"decoding {run.done:,} of {run.total:,} images" if run.phase == "staging" else "between trials"
