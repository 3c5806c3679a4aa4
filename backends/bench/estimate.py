"""What a plan will take, before it is run: bytes at most, files at most, and about how long."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backends.bench.configuration import Configuration
from backends.bench.disk import choose_work_dir, mount_of
from backends.bench.plan import trials

if TYPE_CHECKING:
    from backends.bench.plan import Plan
    from backends.datasets.facts import DatasetFacts

_TRIAL_SECONDS = 0.05
"""A process, an empty container and a look at it: rounded up from what a run of ten images shows."""

_RATE = {"raw": 150e6, "png": 20e6}
"""Bytes of pixels a second through store, sync and comparison, rounded down: enough for "about 20 s"."""

_CONTAINER_BYTES = 1 << 20
_RECORD_BYTES = 160
_IMAGES_A_FOLDER = 1000


@dataclass(frozen=True, slots=True)
class Estimate:
    """Attributes: ``seconds`` is rough; ``bytes_at_most`` and ``files_at_most`` are bounds over all folders,
    if nothing is removed before the end; ``work`` is the folder that the run writes in."""

    seconds: float
    bytes_at_most: int
    files_at_most: int
    work: Path


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes and files at most, in one folder."""

    bytes: int = 0
    files: int = 0

    def __add__(self, other: Need) -> Need:
        return Need(self.bytes + other.bytes, self.files + other.files)


def work_dir(plan: Plan) -> Path:
    """The folder that a plan writes in where a configuration names none.  Raises NotAllowed."""
    return choose_work_dir(plan.work_dir, None if plan.dataset == "sample" else Path(plan.dataset))


def artefact_need(configuration: str, count: int, raw_bytes: int, block: int) -> Need:
    """The most that one container takes, for images of ``raw_bytes`` bytes each on average.

    Every record starts a block of its own at worst, and PNG of noise is a little larger than the pixels.
    """
    record = math.ceil((raw_bytes * 1.02 + _RECORD_BYTES) / block) * block + _RECORD_BYTES
    files = 1
    if Configuration.parse(configuration).backend == "files":
        files = count + math.ceil(count / _IMAGES_A_FOLDER)
    return Need(count * record + _CONTAINER_BYTES, files + 4)


def source_need(count: int, raw_bytes: int) -> Need:
    """What the staged images take."""
    return Need(count * (raw_bytes + 16) + _CONTAINER_BYTES, 5)


def image_bytes(facts: DatasetFacts) -> int:
    """Bytes of the pixels of one image, on average and rounded up."""
    return math.ceil(facts.raw_bytes / max(1, facts.count))


def estimate(plan: Plan, facts: DatasetFacts) -> Estimate:
    """What ``plan`` on the dataset ``facts`` will take.  Raises NotAllowed where there is nowhere to write."""
    work = work_dir(plan)
    block = mount_of(work).block_bytes
    raw = image_bytes(facts)
    need = source_need(min(max(plan.sizes), facts.count), raw)
    seconds = 0.5
    for trial in trials(plan):
        rate = _RATE.get(Configuration.parse(trial.configuration).codec, min(_RATE.values()))
        seconds += _TRIAL_SECONDS + trial.count * raw / rate
        if trial.reads is None:
            need += artefact_need(trial.configuration, trial.count, raw, block)
    return Estimate(seconds, need.bytes, need.files, work)
