"""Progress of a run on standard error: a bar on a terminal, a line every ten seconds in a pipe or a log."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from backends import units
from tui.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import Progress as RichProgress

    from backends.runs.run import Run
    from backends.stores.progress import Progress as Conversion

LINE_SECONDS = 10.0


def say(text: str) -> None:
    """Write a line to standard error; where that is closed, go on without."""
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _bar() -> RichProgress:
    """A bar on standard error, which shows nothing where that is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True, markup=False, highlight=False),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


@contextmanager
def listing() -> Iterator[Callable[[int], bool]]:
    """A function that shows on a terminal, after a second, how many pictures were found while a dataset is opened."""
    from backends.runs import events

    shown: list[str] = []

    def show(event: events.Listing) -> None:
        if sys.stderr.isatty():
            shown.append(f"listing the dataset: {event.found:,} pictures found")
            sys.stderr.write(f"\r{shown[-1]}")
            sys.stderr.flush()

    try:
        yield events.listing(show)
    finally:
        if shown:
            sys.stderr.write(f"\r{' ' * len(shown[-1])}\r")


class _Shown:
    """Bars that are shown while it is entered as a context; without a terminal a line now and then."""

    def __init__(self) -> None:
        self._bar = _bar()
        self._begin = self._last = time.monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def announce(self, text: str) -> None:
        """Show what is about to be done."""
        write = say if self._bar.disable else self._bar.console.out
        write(text)

    def _say_seldom(self, line: str) -> None:
        now = time.monotonic()
        if self._bar.disable and now - self._last >= LINE_SECONDS:
            self._last = now
            say(line)


class Progress(_Shown):
    """Shows how far a run is."""

    def __init__(self) -> None:
        super().__init__()
        self._task = self._bar.add_task("starting", total=None)
        self._opened = self._waiting = False

    def show(self, run: Run) -> None:
        """Show what the run does now, and how many of its trials are done."""
        if run.waiting:
            if not self._waiting:
                self._waiting = True
                self.announce(f"Waiting for the end of {safe_text(run.waiting, 400)}.")
            return
        if run.start is not None and not self._opened:
            self._opened, self._begin = True, time.monotonic()
            folders = ", ".join(map(safe_text, run.work))
            most = units.capacity(run.start.bytes_at_most)
            text = f"{run.trials} trials. Temporary files: up to {most} in {folders}, removed at the end."
            self.announce(f"{safe_text(run.dataset.kind)}: {text}")
        self._bar.update(self._task, total=run.trials or None, completed=run.ended, description=_doing(run))
        passed = units.clock(time.monotonic() - self._begin)
        self._say_seldom(f"{passed}  {run.ended} of {run.trials} trials done; {_doing(run)}")


def _doing(run: Run) -> str:
    if run.removing:
        return "removing the temporary files"
    if run.trial is not None:
        return f"{safe_text(run.trial.configuration)} {run.trial.operation} {run.trial.count:,}"
    if run.start is None and run.found:
        return f"listing the dataset: {run.found:,} pictures found"
    return f"decoding {run.done:,} of {run.total:,} images" if run.phase == "staging" else "between trials"


class ConversionProgress(_Shown):
    """Shows how far a conversion or a verification is."""

    def __init__(self) -> None:
        super().__init__()
        self._tasks: list[Any] = []

    def listed(self, found: int) -> None:
        """Show how many pictures were found so far, where listing them takes long."""
        if not self._bar.disable and found:
            if not self._bar.tasks:
                self._bar.add_task("pictures found", total=None)
            self._bar.update(self._bar.task_ids[0], completed=found)

    def show(self, state: Conversion) -> None:
        """Show the images that are written and those that are durable; without a terminal, every ten seconds."""
        if not self._tasks:
            self._begin = time.monotonic()
        done = state.durable + state.failures
        self._update(("written", state.written + state.failures, state.images), ("durable", done, state.images))
        seconds = time.monotonic() - self._begin
        rate = max(0, done - state.resumed) / seconds if seconds else 0.0
        left = f", {units.about((state.images - done) / rate)} left" if rate else ""
        skipped = f", {state.failures:,} not decoded" if state.failures else ""
        self._say_seldom(
            f"{units.clock(seconds)}  {done:,} of {state.images:,} images durable, {state.written:,} written, "
            f"{state.sealed:,} of {state.shards:,} shards, {units.rate(rate)}{left}{skipped}"
        )

    def shards(self, done: int, shards: int) -> None:
        """Show how many shards are verified."""
        self._update(("shards", done, shards))
        self._say_seldom(f"{units.clock(time.monotonic() - self._begin)}  {done:,} of {shards:,} shards verified")

    def _update(self, *bars: tuple[str, int, int]) -> None:
        if not self._tasks:
            for task in self._bar.task_ids:
                self._bar.remove_task(task)
            self._tasks = [self._bar.add_task(name, total=total) for name, _, total in bars]
        for task, (_, done, total) in zip(self._tasks, bars, strict=True):
            self._bar.update(task, completed=done, total=total)
