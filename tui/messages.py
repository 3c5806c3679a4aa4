"""What reaches the app from its threads: one message per event of a run, and the answers of slow questions.

Threads only ever post messages; handlers own every change of a widget.
"""

from __future__ import annotations

from dataclasses import dataclass

from textual.message import Message

from backends.bench.budget import Estimate
from backends.bench.plan import Plan
from backends.datasets.base import DatasetFacts
from backends.runs import events
from backends.runs.history import RunFacts
from backends.runs.job import Job
from backends.runs.run import SavedRun


class RunEvent(Message):
    """Something happened in a run; ``run`` is its job's id."""

    def __init__(self, run: str, event: events.Event) -> None:
        super().__init__()
        self.run = run
        self.event = event

    def can_replace(self, message: Message) -> bool:
        """Of progress, and of staging, the latest is enough."""
        latest = type(self.event) in (events.Progress, events.Staging)
        return latest and isinstance(message, RunEvent) and self._about() == message._about()

    def _about(self) -> tuple[str, type[events.Event]]:
        return self.run, type(self.event)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run writes: ``free`` is in bytes, None where it is not known."""

    folder: str
    filesystem: str
    free: int | None


class Answer(Message):
    """What a slow question, asked in a thread, came back with."""


class JobOpened(Answer):
    """A run was started, or an earlier one opened: it can be followed."""

    def __init__(self, job: Job | SavedRun, plan: Plan) -> None:
        super().__init__()
        self.job = job
        self.plan = plan


class RunGoesOn(Answer):
    """``plan`` was not started: the run ``job`` goes on on this machine."""

    def __init__(self, plan: Plan, job: RunFacts) -> None:
        super().__init__()
        self.plan = plan
        self.job = job


class JobsListed(Answer):
    """The jobs there are, newest first."""

    def __init__(self, jobs: tuple[RunFacts, ...]) -> None:
        super().__init__()
        self.jobs = jobs


class DatasetOpened(Answer):
    """A dataset was recognised."""

    def __init__(self, facts: DatasetFacts) -> None:
        super().__init__()
        self.facts = facts


class DatasetSurveyed(Answer):
    """A folder of pictures was looked into: what was opened before, now with shapes and raw bytes."""

    def __init__(self, facts: DatasetFacts) -> None:
        super().__init__()
        self.facts = facts


class FolderRecognised(Answer):
    """The current folder is a dataset."""

    def __init__(self, facts: DatasetFacts) -> None:
        super().__init__()
        self.facts = facts


class PlanWeighed(Answer):
    """What a plan will take, and where it will write."""

    def __init__(self, plan: Plan, estimate: Estimate, place: Place) -> None:
        super().__init__()
        self.plan = plan
        self.estimate = estimate
        self.place = place


class Wish(Message):
    """What a screen asks the app for."""


class OpenDataset(Wish):
    """Look at the dataset at ``path``."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path


class StopOpening(Wish):
    """Leave the dataset that is being read."""


class SurveyDataset(Wish):
    """Look into the pictures of the dataset that is open."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path


class WeighPlan(Wish):
    """Say what ``plan`` will take."""

    def __init__(self, plan: Plan, facts: DatasetFacts) -> None:
        super().__init__()
        self.plan = plan
        self.facts = facts


class StartRun(Wish):
    """Run ``plan``; ``beside`` another run, if one goes on."""

    def __init__(self, plan: Plan, *, beside: bool = False) -> None:
        super().__init__()
        self.plan = plan
        self.beside = beside


class StopRun(Wish):
    """Cancel the run on show; what has finished stays."""


class FollowJob(Wish):
    """Replay a job, or follow it where it still runs."""

    def __init__(self, job: RunFacts) -> None:
        super().__init__()
        self.job = job


class ListJobs(Wish):
    """Say which jobs there are."""
