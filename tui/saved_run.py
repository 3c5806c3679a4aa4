"""A result from a file, told as the events of a run, so that the screen shows it as any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.jobs import events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backends.jobs.result import Result


class SavedRun:
    """Followed as a job is; there is nothing to stop.  ``id`` is the file's path."""

    here = False

    def __init__(self, path: str, result: Result) -> None:
        self.id = path
        self.result = result

    def run(
        self, emit: Callable[[events.Event], None], cancelled: Callable[[], bool], stop: Callable[[], bool]
    ) -> None:
        """Tell all events to ``emit``."""
        for event in self.follow():
            emit(event)

    def follow(self) -> Iterator[events.Event]:
        """Its events; what was saved while it went on is shown as a run that was stopped."""
        result, begin = self.result, self.result.started
        images = min(max(result.plan.sizes), result.dataset.count)
        notes = tuple(note for note in result.notes if note not in result.dataset.notes)
        trials = len(result.measurements)
        yield events.RunStarted(begin, result.plan, result.dataset, result.environment, trials, (), 0, notes)
        yield events.Staging(begin, images, images, result.staging_seconds)
        for found in result.measurements:
            kind = events.TrialFinished if found.outcome == "ok" else events.TrialFailed
            yield kind(begin, found)
        end = begin + result.seconds
        if result.outcome == "failed":
            yield events.JobFailed(end, result.message)
        else:
            outcome = "finished" if result.outcome == "finished" else "cancelled"
            yield events.RunFinished(end, outcome, result.seconds, conditions=result.conditions)
