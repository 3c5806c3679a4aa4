"""A result from a file, told as the events of a run, so that the screen shows it as any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.jobs import events

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from backends.jobs.result import Result


class SavedRun:
    """Followed as a job is; there is nothing to stop.  ``id`` is the file's path."""

    def __init__(self, path: str, result: Result) -> None:
        self.id = path
        self.result = result

    def follow(self, stop: threading.Event | None = None) -> Iterator[events.Event]:
        """Its events; times count from 0, since the file has none."""
        result = self.result
        images = min(max(result.plan.sizes), result.dataset.count)
        notes = tuple(note for note in result.notes if note not in result.dataset.notes)
        yield events.RunStarted(
            0.0, result.plan, result.dataset, result.environment, len(result.measurements), (), 0, notes
        )
        yield events.Staging(0.0, images, images, result.staging_seconds)
        for found in result.measurements:
            kind = events.TrialFinished if found.outcome == "ok" else events.TrialFailed
            yield kind(0.0, found)
        if result.outcome == "failed":
            yield events.JobFailed(result.seconds, result.message)
        else:
            yield events.RunFinished(result.seconds, result.outcome, result.seconds, conditions=result.conditions)

    def cancel(self) -> None:
        """Nothing goes on."""
