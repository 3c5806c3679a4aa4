"""Progress of a run on standard error: a bar on a terminal, a line every ten seconds in a pipe or a log."""

from __future__ import annotations

import os
import sys
import time
from typing import Self

from backends import units
from backends.runs import events
from tui.text import safe_text

LINE_SECONDS = 10.0


def say(text: str) -> None:
    """Write a line to standard error; where that is closed, go on without."""
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


class Progress:
    """Shows the events of a run while it is entered as a context."""

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

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, event: events.Event) -> None:
        """Show what the run does now, and how many of its trials are done."""
        match event:
            case events.RunStarted():
                self._bar.update(self._task, total=event.trials)
                self._say(_opening(event))
            case events.Staging():
                self._bar.update(self._task, description=f"decoding {event.done:,} of {event.total:,} images")
            case events.TrialStarted(trial=trial):
                text = f"{safe_text(trial.configuration)} {trial.operation} {trial.count:,}"
                self._bar.update(self._task, description=text)
            case events.TrialFinished():
                self._bar.advance(self._task)
            case events.Removing():
                self._bar.update(self._task, description="removing the temporary files")
        now = time.monotonic()
        if self._bar.disable and now - self._last >= LINE_SECONDS:
            self._last, task = now, self._bar.tasks[0]
            done = f"{task.completed:.0f} of {task.total or 0:.0f} trials done"
            say(f"{units.clock(now - self._begin)}  {done}; {task.description}")

    def _say(self, text: str) -> None:
        if self._bar.disable:
            say(text)
        else:
            self._bar.console.print(text, soft_wrap=True)


def _opening(event: events.RunStarted) -> str:
    folders = ", ".join(safe_text(folder) for folder in event.work)
    return (
        f"{safe_text(event.dataset.kind)}: {event.trials} trials. Temporary files: up to "
        f"{units.capacity(event.bytes_at_most)} in {folders}, removed at the end."
    )
