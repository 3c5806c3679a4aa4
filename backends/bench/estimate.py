"""What a plan will take, before it is run: bytes at most, files at most, and about how long."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backends.bench.configuration import SOURCE, Configuration
from backends.bench.disk import choose_work_dir, free_bytes, mount_of
from backends.bench.measurement import LEAST_SECONDS, MOST_LOOPS, WARM
from backends.bench.schedule import trials

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backends.bench.measurement import Trial
    from backends.bench.plan import Plan
    from backends.datasets.facts import DatasetFacts

_TRIAL_SECONDS = 0.04
"""A process, an empty container and a look at it: rounded up from what a run of ten images shows."""

_RATE = {"raw": 150e6, "png": 20e6}
_DECODE_RATE = 100e6
_PILLOW_RATE = 15e6
"""Bytes of pixels a second through store, sync and comparison, rounded down: enough for "about 20 s"."""

_FASTEST = 4e9
"""Bytes a second that no store exceeds."""

LOOP_BYTES = 1 << 24
LOOP_SHARE = 0.02
"""Of what is free, for all stores of a run that are looped."""

_CONTAINER_BYTES = 1 << 20
_RECORD_BYTES = 160
_MEMBER_BYTES = {"tar": 2_176}
"""What a backend puts around a record besides: headers, the label in a member of its own, and the rest of blocks."""
_IMAGES_A_FOLDER = 100
_SAMPLE_MARGIN = 1.25
"""A sample's pictures may be larger than the dataset's on average."""

_UNKNOWN_IMAGE_BYTES = 1 << 20


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


def image_bytes(facts: DatasetFacts) -> int:
    """Bytes of the pixels of one image: exact where all have one size, else a bound on a sample's mean."""
    if facts.raw_bytes is None:
        return _UNKNOWN_IMAGE_BYTES
    mean = facts.raw_bytes / max(1, facts.count)
    return math.ceil(mean * _SAMPLE_MARGIN if facts.estimated else mean)


def record_bytes(codec: str, facts: DatasetFacts) -> int:
    """Bytes of one record at most, on average: PNG of noise is a little larger than its pixels."""
    if codec == SOURCE and facts.source_bytes is not None:
        return math.ceil(facts.source_bytes / max(1, facts.count) * _SAMPLE_MARGIN)
    return math.ceil(image_bytes(facts) * 1.02)


def artefact_need(trial: Trial, facts: DatasetFacts, block: int, loops: int) -> Need:
    """The most that a store writes: every record starts a block of its own at worst; ``loops`` bytes where it may
    be short enough to be looped."""
    parsed = Configuration.parse(trial.configuration, facts)
    count, record = trial.count, record_bytes(parsed.codec, facts) + _RECORD_BYTES
    record += _MEMBER_BYTES.get(parsed.backend, 0)
    one_file_each = parsed.backend in ("files", "article-png")
    files = 6 + (count + math.ceil(count / _IMAGES_A_FOLDER) if one_file_each else 1)
    size = count * (math.ceil(record / block) * block + _RECORD_BYTES) + _CONTAINER_BYTES
    if not trial.repeat or count * image_bytes(facts) > LEAST_SECONDS * _FASTEST:
        return Need(size, files)
    return Need(size + loops, files + MOST_LOOPS * min(files, loops // (MOST_LOOPS * block) + 1))


def staged_bytes(plan: Plan, facts: DatasetFacts) -> int:
    """Bytes that staging takes for one image: its pixels, its file's own bytes, or both."""
    codecs = {Configuration.parse(text, facts).codec for text in plan.configurations}
    pixels = image_bytes(facts) if codecs != {SOURCE} else 0
    return pixels + (record_bytes(SOURCE, facts) if SOURCE in codecs else 0) + 32


def source_need(plan: Plan, facts: DatasetFacts) -> Need:
    """What the staged images take."""
    return Need(min(max(plan.sizes), facts.count) * staged_bytes(plan, facts) + _CONTAINER_BYTES, 8)


def trial_seconds(trial: Trial, facts: DatasetFacts) -> float:
    """Seconds that a trial takes, with all that surrounds what it measures, roughly."""
    one = Configuration.parse(trial.configuration, facts)
    rate = _PILLOW_RATE if one.backend == "article-png" else _RATE.get(one.codec, _DECODE_RATE)
    work = trial.count * image_bytes(facts) / rate
    return _TRIAL_SECONDS + max(work, LEAST_SECONDS if trial.cache == WARM and trial.repeat else 0.0)


def loop_bytes(plan: Plan, folders: Iterable[Path]) -> int:
    """What a short store may write in any of ``folders`` besides its artefact, where it is looped."""
    stores = sum(trial.reads is None for trial in trials(plan))
    return min(LOOP_BYTES, int(min(map(free_bytes, folders)) * LOOP_SHARE) // max(1, stores))


def estimate(plan: Plan, facts: DatasetFacts) -> Estimate:
    """What ``plan`` on the dataset ``facts`` will take.  Raises NotAllowed where there is nowhere to write."""
    work = work_dir(plan)
    block, loops = mount_of(work).block_bytes, loop_bytes(plan, (work,))
    need = source_need(plan, facts)
    seconds = 0.5 + min(max(plan.sizes), facts.count) * image_bytes(facts) / _DECODE_RATE
    for trial in trials(plan):
        seconds += trial_seconds(trial, facts)
        if trial.reads is None:
            need += artefact_need(trial, facts, block, loops)
    return Estimate(min(seconds, plan.budget or seconds), need.bytes, need.files, work)
