"""The jobs that the app follows, and which of them is on show."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from backends.jobs import events
from backends.jobs.result import collect
from tui.messages import JobEvent, message_of
from tui.run_state import RunState, fold
from tui.saved_run import SavedRun

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backends.bench.plan import Plan
    from backends.jobs.job import Job
    from backends.jobs.result import Result


@dataclass(slots=True)
class Followed:
    """A job that this app follows.  ``stop`` ends the following, not the job; ``told`` is what happened so far."""

    job: Job | SavedRun
    state: RunState
    stop: threading.Event = field(default_factory=threading.Event)
    told: list[events.Event] = field(default_factory=list)

    def follow(self) -> Iterator[JobEvent]:
        """What happens in the job; to be asked in a thread."""
        for event in self.job.follow(self.stop.is_set):
            yield message_of(self.job.id, event)

    def cancel(self) -> None:
        """Ask the job to stop."""
        self.job.cancel()
        self.state = replace(self.state, stopping=True)


class Runs(dict[str, Followed]):
    """By the id of the job."""

    shown = ""
    """The id of the job on show."""

    def add(self, job: Job | SavedRun, plan: Plan) -> Followed:
        """Follow one more job."""
        self[job.id] = Followed(job, RunState(plan, saved=isinstance(job, SavedRun)))
        return self[job.id]

    def take(self, message: JobEvent) -> Followed | None:
        """Fold an event into the state of its job; None where that is not followed."""
        followed = self.get(message.job)
        if followed is not None:
            if not isinstance(message.event, events.Progress):
                followed.told.append(message.event)
            followed.state = fold(followed.state, message.event)
        return followed

    def alive(self) -> Iterator[Followed]:
        """Those that go on."""
        return (followed for followed in self.values() if followed.state.alive)

    def result(self) -> Result | None:
        """What the run on show found, as far as it came."""
        return collect(self[self.shown].told) if self.shown in self else None
