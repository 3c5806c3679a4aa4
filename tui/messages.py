"""Messages to the app: what its screens ask of it, and the events of its runs, which threads post."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

from backends.datasets.base import AS_FOUND, Reading

if TYPE_CHECKING:
    from backends.bench.plan import Plan
    from backends.datasets.base import DatasetFacts
    from backends.runs.conversion import ConversionSpec
    from backends.runs.events import Event
    from backends.stores.plan import StorePlan
    from backends.stores.preflight import Estimate


@dataclass(frozen=True, slots=True)
class Place:
    """Folder that a run writes in; ``free`` is in bytes, None where it is not known."""

    folder: str
    filesystem: str
    free: int | None


@dataclass
class RunEvent(Message):
    """An event of the run whose job has the id ``run``."""

    run: str
    event: Event


@dataclass
class OpenDataset(Message):
    """Read the dataset, or the saved result, at ``path``."""

    path: str
    how: Reading = AS_FOUND


@dataclass
class Listed(Message):
    """So many pictures were found so far in the dataset that is being opened."""

    found: int


@dataclass
class EstimatePlan(Message):
    """Find out how long ``plan`` takes and what it writes."""

    plan: Plan
    facts: DatasetFacts


@dataclass
class StartJob(Message):
    """Run a plan, or convert; where another job is going on, ``wait`` for its end instead of asking."""

    spec: Plan | ConversionSpec
    wait: bool = False


@dataclass
class Prepared(Message):
    """What a conversion takes, and whether it was ``begun`` before; or the ``problem`` for which it cannot be done."""

    spec: ConversionSpec
    plan: StorePlan | None = None
    needs: Estimate | None = None
    begun: bool = False
    problem: str = ""


@dataclass
class FollowJob(Message):
    """Show the earlier run or conversion whose job has the id ``job``, or follow it where it goes on."""

    job: str


@dataclass
class Copy(Message):
    """Copy a command line, and say so."""

    text: str
