"""The runs that the app executes or follows, and which of them is on show."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from backends.jobs import events
from backends.jobs.result import collect
from tui.messages import RunEvent
from tui.run_state import RunState, fold
from tui.saved_run import SavedRun

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backends.bench.plan import Plan
    from backends.jobs.job import Job
    from backends.jobs.result import Result


@dataclass(slots=True)
class Followed:
    """A job of this app.  ``stop`` ends the following, not the job; ``told`` is what happened so far."""

    job: Job | SavedRun
    state: RunState
    stop: threading.Event = field(default_factory=threading.Event)
    told: list[events.Event] = field(default_factory=list)


class Runs(dict[str, Followed]):
    """By the id of the job."""

    shown = ""
    """The id of the job on show."""

    def add(self, job: Job | SavedRun, plan: Plan) -> Followed:
        """Follow one more job."""
        self[job.id] = Followed(job, RunState(plan, saved=isinstance(job, SavedRun)))
        return self[job.id]

    def take(self, message: RunEvent) -> Followed | None:
        """Fold an event into the state of its run; None where that is not followed."""
        followed = self.get(message.run)
        if followed is not None:
            if not isinstance(message.event, events.Progress):
                followed.told.append(message.event)
            followed.state = fold(followed.state, message.event)
        return followed

    def stopping(self, run: str) -> None:
        """Its worker was cancelled: the run ends at its next batch, and says so in its last event."""
        self[run].state = replace(self[run].state, stopping=self[run].state.alive)

    def alive(self) -> Iterator[Followed]:
        """Those that go on."""
        return (followed for followed in self.values() if followed.state.alive)

    def alive_here(self) -> bool:
        """Whether one goes on in a thread of this program, which cannot be left without it."""
        return any(followed.job.here for followed in self.alive())

    def result(self) -> Result | None:
        """What the run on show found, as far as it came."""
        return collect(self[self.shown].told) if self.shown in self else None
