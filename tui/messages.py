"""What reaches the app from its threads: one message per event of a job, and the answers of slow questions.

Threads only ever post messages; handlers own every change of a widget.
"""

from __future__ import annotations

from dataclasses import dataclass

from textual.message import Message

from backends.bench.estimate import Estimate
from backends.bench.plan import Plan
from backends.datasets.facts import DatasetFacts
from backends.jobs import events
from backends.jobs.job import Job, JobFacts


class JobEvent(Message):
    """Something happened in a job; ``job`` is its id."""

    def __init__(self, job: str, event: events.Event) -> None:
        super().__init__()
        self.job = job
        self.event = event


class RunStarted(JobEvent):
    """A run began."""


class Staging(JobEvent):
    """Some of the plan's images were decoded; the latest of these is enough."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, Staging) and message.job == self.job


class TrialStarted(JobEvent):
    """A trial began."""


class Progress(JobEvent):
    """A trial moved on; the latest of these is enough."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, Progress) and message.job == self.job


class TrialFinished(JobEvent):
    """A trial ended well."""


class TrialFailed(JobEvent):
    """A trial did not do its work."""


class TrialSkipped(JobEvent):
    """A trial was not tried."""


class RunFinished(JobEvent):
    """A run ended, done or cancelled."""


class JobFailed(JobEvent):
    """A job could not do its work, or died."""


_KINDS: dict[type[events.Event], type[JobEvent]] = {
    events.RunStarted: RunStarted,
    events.Staging: Staging,
    events.TrialStarted: TrialStarted,
    events.Progress: Progress,
    events.TrialFinished: TrialFinished,
    events.TrialFailed: TrialFailed,
    events.TrialSkipped: TrialSkipped,
    events.RunFinished: RunFinished,
    events.JobFailed: JobFailed,
}


def message_of(job: str, event: events.Event) -> JobEvent:
    """The message that carries ``event`` to the app."""
    return _KINDS[type(event)](job, event)


@dataclass
class JobOpened(Message):
    """A run was started, or an earlier one opened: it can be followed."""

    job: Job
    plan: Plan

    def __post_init__(self) -> None:
        super().__init__()


@dataclass
class JobsListed(Message):
    """The jobs there are, newest first."""

    jobs: tuple[JobFacts, ...]

    def __post_init__(self) -> None:
        super().__init__()


@dataclass
class DatasetOpened(Message):
    """A dataset was recognised."""

    path: str
    facts: DatasetFacts

    def __post_init__(self) -> None:
        super().__init__()


@dataclass
class DatasetRefused(Message):
    """A dataset could not be opened; ``sentence`` says why and what to do."""

    path: str
    sentence: str

    def __post_init__(self) -> None:
        super().__init__()


@dataclass
class FolderRecognised(Message):
    """The current folder is a dataset."""

    facts: DatasetFacts

    def __post_init__(self) -> None:
        super().__init__()


@dataclass
class Estimated(Message):
    """What a plan will take, or the sentence that says why it cannot be run."""

    plan: Plan
    estimate: Estimate | None
    sentence: str = ""

    def __post_init__(self) -> None:
        super().__init__()
