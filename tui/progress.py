"""Progress of a run on standard error: a bar on a terminal, a line every ten seconds in a pipe or a log."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Protocol

from backends import units
from backends.runs import events
from tui.text import safe_text

if TYPE_CHECKING:
    from backends.bench.measurement import Trial


LINE_SECONDS = 10.0
REMOVING = "removing the temporary files"


class Narrator(Protocol):
    """Shows the events of a run."""

    def tell(self, event: events.Event) -> None: ...

    def close(self) -> None: ...


def make_narrator() -> Narrator:
    """A bar where standard error is a terminal, else lines."""
    return Bar() if sys.stderr.isatty() else Lines()


def say(text: str) -> None:
    """Write a line to standard error; where that is closed, go on without."""
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


class Lines:
    """A line every ten seconds, for pipes and logs."""

    def __init__(self) -> None:
        self._begin = self._last = time.monotonic()
        self._done = self._trials = 0
        self._now = "starting"

    def tell(self, event: events.Event) -> None:
        match event:
            case events.RunStarted():
                self._trials = event.trials
                say(_opening(event))
            case events.Staging():
                self._now = _staging(event)
            case events.TrialStarted():
                self._now = _trial(event.trial)
            case events.TrialFinished() | events.TrialFailed() | events.TrialSkipped():
                self._done += 1
            case events.Removing():
                self._now = REMOVING
        now = time.monotonic()
        if now - self._last >= LINE_SECONDS:
            self._last = now
            say(f"{units.clock(now - self._begin)}  {self._done} of {self._trials} trials done; {self._now}")

    def close(self) -> None:
        return


class Bar:
    """A progress bar, for terminals."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True, markup=False, highlight=False),
            transient=True,
        )
        self._task = self._bar.add_task("starting", total=None)
        self._bar.start()

    def tell(self, event: events.Event) -> None:
        match event:
            case events.RunStarted():
                self._bar.update(self._task, total=event.trials)
                self._bar.console.print(_opening(event), soft_wrap=True)
            case events.Staging():
                self._bar.update(self._task, description=_staging(event))
            case events.TrialStarted():
                self._bar.update(self._task, description=_trial(event.trial))
            case events.TrialFinished() | events.TrialFailed() | events.TrialSkipped():
                self._bar.advance(self._task)
            case events.Removing():
                self._bar.update(self._task, description=REMOVING)

    def close(self) -> None:
        self._bar.stop()


def _opening(event: events.RunStarted) -> str:
    folders = ", ".join(safe_text(folder) for folder in event.work)
    return (
        f"{safe_text(event.dataset.kind)}: {event.trials} trials. Temporary files: up to "
        f"{units.capacity(event.bytes_at_most)} in {folders}, removed at the end."
    )


def _staging(event: events.Staging) -> str:
    return f"decoding {event.done:,} of {event.total:,} images"


def _trial(trial: Trial) -> str:
    return f"{safe_text(trial.configuration)} {trial.operation} {trial.count:,}"
