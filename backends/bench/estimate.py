"""Upper bounds on what the trials of a plan write, and rough durations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backends.bench.configuration import SOURCE, Configuration
from backends.bench.measurement import FOLDER_BYTES, LEAST_SECONDS, MOST_LOOPS, WARM
from backends.bench.schedule import trials
from backends.registry import backend_entry

if TYPE_CHECKING:
    from backends.bench.measurement import Trial
    from backends.bench.plan import Plan
    from backends.datasets.base import DatasetFacts

_TRIAL_SECONDS = 0.07
"""A process, an empty container and a look at it: rounded up from what a run of ten images shows."""

_RATE = {"raw": 150e6, "png": 20e6}
_DECODE_RATE = 100e6
_PILLOW_RATE = 15e6
"""Bytes of pixels a second through store, sync and comparison, rounded down: enough for "about 20 s"."""

COPY_FACTOR = 10
"""All copies that repeated stores make take at most so many times the largest container ..."""
COPY_SHARE = 0.02
"""... at most this share of what is free on the disk ..."""
COPY_BYTES = 1 << 24
"""... and each store makes at most so many bytes of them."""

_CONTAINER_BYTES = 1 << 16
"""Of an empty container: SQLite takes 48 KiB, all others less."""
_RECORD_BYTES = 160
_IMAGES_A_FOLDER = 100
_SAMPLE_MARGIN = 1.25
"""A sample's pictures may be larger than the dataset's on average."""

_UNKNOWN_IMAGE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes and files at most, in one folder."""

    bytes: int = 0
    files: int = 0

    def __add__(self, other: Need) -> Need:
        return Need(self.bytes + other.bytes, self.files + other.files)


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


def container_need(configuration: str, count: int, facts: DatasetFacts, block: int, workers: int = 1) -> Need:
    """The most that a container of ``count`` images takes: at worst every record starts a block of its own."""
    parsed = Configuration.parse(configuration, facts)
    record = record_bytes(parsed.codec, facts) + _RECORD_BYTES + backend_entry(parsed.backend).overhead
    one_file_each = parsed.backend in ("files", "article-png")
    files = 6 * workers + (count + math.ceil(count / _IMAGES_A_FOLDER) if one_file_each else 0)
    return Need(count * (math.ceil(record / block) * block + _RECORD_BYTES) + workers * _CONTAINER_BYTES, files)


@dataclass(frozen=True, slots=True)
class Copies:
    """What short stores may write when they are repeated.

    Attributes
    ----------
    bytes
        Of all copies that one store makes.
    count
        Images; larger stores are not repeated.
    """

    bytes: int = 0
    count: int = 0

    def allowed(self, trial: Trial) -> int:
        """Bytes of copies that ``trial`` may write: none for reads and warm-ups."""
        return self.bytes if trial.reads is None and trial.repeat and trial.count <= self.count else 0


def plan_copies(plan: Plan, facts: DatasetFacts, block: int, free: int) -> Copies:
    """Share what copies may take in all equally among the stores, from the smallest on, while a copy of each fits.

    Parameters
    ----------
    free
        Bytes that are free on the fullest of the disks that the run writes to.
    """
    stores = [one for one in trials(plan) if one.reads is None]
    largest = max(container_need(one.configuration, one.count, facts, block).bytes for one in stores)
    total, found = min(COPY_FACTOR * largest, int(free * COPY_SHARE)), Copies()
    for number, count in enumerate(sorted(one.count for one in stores if one.repeat), 1):
        share = min(COPY_BYTES, total // number)
        if count * image_bytes(facts) <= share:
            found = Copies(share, count)
    return found


def trial_need(trial: Trial, facts: DatasetFacts, block: int, workers: int, copies: Copies) -> Need:
    """The most that a trial writes: a container of one image to warm up; a store also its container and copies."""
    need = container_need(trial.configuration, 1, facts, block)
    if trial.reads is not None:
        return need
    container = container_need(trial.configuration, trial.count, facts, block, workers)
    copied = min(copies.allowed(trial), MOST_LOOPS * (container.bytes + FOLDER_BYTES))
    return need + container + Need(copied, min(MOST_LOOPS * container.files, copied // block + MOST_LOOPS))


def staged_bytes(plan: Plan, facts: DatasetFacts) -> int:
    """Bytes that staging takes for one image: its pixels, its file's own bytes, or both."""
    codecs = {Configuration.parse(text, facts).codec for text in plan.configurations}
    pixels = image_bytes(facts) if codecs != {SOURCE} else 0
    return pixels + (record_bytes(SOURCE, facts) if SOURCE in codecs else 0) + 32


def source_need(plan: Plan, facts: DatasetFacts) -> Need:
    """What the staged images take."""
    return Need(min(max(plan.sizes), facts.count) * staged_bytes(plan, facts) + _CONTAINER_BYTES, 8)


def source_seconds(plan: Plan, facts: DatasetFacts) -> float:
    """Seconds that a run takes to begin and to decode its images, roughly."""
    return 0.5 + min(max(plan.sizes), facts.count) * image_bytes(facts) / _DECODE_RATE


def trial_seconds(trial: Trial, facts: DatasetFacts) -> float:
    """Seconds that a trial takes, with all that surrounds what it measures, roughly."""
    one = Configuration.parse(trial.configuration, facts)
    rate = _PILLOW_RATE if one.backend == "article-png" else _RATE.get(one.codec, _DECODE_RATE)
    work = trial.count * image_bytes(facts) / rate
    return _TRIAL_SECONDS + max(work, LEAST_SECONDS if trial.cache == WARM and trial.repeat else 0.0)
