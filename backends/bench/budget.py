"""What a plan will take: time, disk, the folders it writes in, and which trials fit into its budget."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from backends.bench.configuration import SOURCE, Configuration
from backends.bench.disk import Mount, check_space, choose_work_dir, free_bytes, mount_of
from backends.bench.machine import MEMORY_SHARE, usable_memory
from backends.bench.measurement import EPOCH, FOLDER_BYTES, LEAST_SECONDS, MOST_LOOPS, WARM, Aspect, Measurement, Trial
from backends.bench.plan import Plan
from backends.bench.schedule import configurations, trials
from backends.datasets.base import DatasetFacts
from backends.errors import NoSpace

_TRIAL_SECONDS = 0.07  # a process, an empty container and a look at it: rounded up from what a run of ten images shows

_EPOCH_SECONDS = 10.0  # a Python that imports torch, its workers, and epochs of half a second each

_RATE = {"raw": 150e6, "png": 20e6}
_DECODE_RATE = 100e6
"""Bytes of pixels a second through store, sync and comparison, rounded down: enough for "about 20 s"."""

STORE_WORK, READ_WORK = 3.0, 2.0
"""How many times its measured seconds an operation takes with fetching, syncing, reading back and comparing."""

COPY_FACTOR = 10  # all copies that repeated stores make take at most so many times the largest container ...
COPY_SHARE = 0.02  # ... at most this share of what is free on the disk ...
COPY_BYTES = 1 << 24  # ... and each store makes at most so many bytes of them

_CONTAINER_BYTES = 1 << 16  # of an empty container: SQLite takes 48 KiB, all others less
_RECORD_BYTES = 160
_SAMPLE_MARGIN = 1.25  # a sample's pictures may be larger than the dataset's on average

_UNKNOWN_IMAGE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes and files at most, in one folder."""

    bytes: int = 0
    files: int = 0

    def __add__(self, other: Need) -> Need:
        return Need(self.bytes + other.bytes, self.files + other.files)


@dataclass(frozen=True, slots=True)
class Copies:
    """What short stores may write when they are repeated."""

    bytes: int = 0  # of all copies that one store makes
    count: int = 0  # images; larger stores are not repeated

    def allowed(self, trial: Trial) -> int:
        """Bytes of copies that ``trial`` may write: none for reads and warm-ups."""
        return self.bytes if trial.reads is None and trial.repeat and trial.count <= self.count else 0


@dataclass(frozen=True, slots=True)
class RunFolders:
    """Where a run writes."""

    main: Path  # the folder of the staged images
    by_configuration: dict[Configuration, Path]  # the folder of each configuration's artefacts
    bytes_at_most: int  # of everything that lies on all disks at one time
    copies: Copies
    early: bool  # artefacts are removed as soon as nothing needs them, since all of them together do not fit

    @property
    def all(self) -> tuple[Path, ...]:
        return tuple(dict.fromkeys((self.main, *self.by_configuration.values())))


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a plan takes."""

    seconds: float  # roughly
    bytes_at_most: int
    work: Path  # the folder that it writes in


def estimate(plan: Plan, facts: DatasetFacts) -> Estimate:
    """What ``plan`` on the dataset ``facts`` will take.  Raises NoSpace and NotAllowed where it cannot run."""
    plan = fit_to_memory(plan, facts)
    folders = choose_folders(plan, facts, "estimate")
    source = 0.5 + _distinct_images(plan, facts) * _image_bytes(facts) / _DECODE_RATE
    seconds = source + sum(trial_seconds(trial, facts) for trial in trials(plan))
    return Estimate(min(seconds, plan.budget or seconds), folders.bytes_at_most, folders.main.parent)


def trial_seconds(trial: Trial, facts: DatasetFacts) -> float:
    """Seconds that a trial takes, with all that surrounds what it measures, roughly."""
    configuration = trial.configuration
    rate = configuration.entry.pixel_rate or _RATE.get(configuration.codec, _DECODE_RATE)
    work = trial.count * _image_bytes(facts) / rate
    around = _EPOCH_SECONDS if trial.operation == EPOCH else _TRIAL_SECONDS
    return around + max(work, LEAST_SECONDS if trial.cache == WARM and trial.repeat else 0.0)


class Pace:
    """Predicts how long trials take, with all that surrounds what they measure, from those that were done.

    ``budget`` is in seconds from ``started`` (``time.monotonic``) on; None for no bound.
    """

    def __init__(self, budget: float | None, facts: DatasetFacts, started: float) -> None:
        self._end = None if budget is None else started + budget
        self._facts = facts
        self._done: dict[tuple[Configuration, Aspect], tuple[int, float, float]] = {}
        """Of the last trial of each: count, measured seconds, and those around them."""

    def learn(self, trial: Trial, seconds: float, measurement: Measurement) -> None:
        """Note how long a trial took, its process and comparison included.  Warm-ups pay for what is loaded once."""
        work = measurement.seconds
        if trial.repeat and work is not None:
            around = max(0.0, seconds - work * measurement.loops)
            self._done[trial.configuration, trial.aspect] = trial.count, work, around

    def predict(self, trial: Trial) -> float:
        """Seconds that a trial will take: what was measured of the same, scaled, with its comparison and the rest."""
        if (trial.configuration, trial.aspect) not in self._done:
            return trial_seconds(trial, self._facts)
        count, work, around = self._done[trial.configuration, trial.aspect]
        more = max(1.0, trial.count / count)
        compared = work * (more - 1) * (STORE_WORK if trial.reads is None else READ_WORK)
        return around + max(work + compared, LEAST_SECONDS)

    def left(self) -> float | None:
        """Seconds of the budget that are left; None where there is no bound."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def unaffordable(self, block: Sequence[Trial]) -> dict[int, float]:
        """The trials of a block that do not fit into what is left, by index, with their predicted seconds.

        The cheapest are kept, a read only with the store that it needs, so that as much as possible is compared.
        """
        left = self.left()
        if left is None:
            return {}
        predicted = {trial.index: self.predict(trial) for trial in block}
        kept: set[int] = set()
        for trial in sorted(block, key=lambda trial: predicted[trial.index]):
            needed = {trial.index, trial.index if trial.reads is None else trial.reads} - kept
            cost = sum(predicted[index] for index in needed)
            if cost <= left:
                left -= cost
                kept |= needed
        return {index: seconds for index, seconds in predicted.items() if index not in kept}


def fit_to_memory(plan: Plan, facts: DatasetFacts) -> Plan:
    """``plan`` with the memory that staging may take, and with sizes whose images fit into it."""
    memory = plan.memory or usable_memory() // MEMORY_SHARE
    sizes = fit_sizes(plan.sizes, facts.count, _staged_bytes(plan, facts), memory)
    return replace(plan, sizes=sizes, split=facts.split, memory=memory)


def fit_sizes(sizes: tuple[int, ...], count: int, image_bytes: int, memory: int) -> tuple[int, ...]:
    """The sizes whose distinct images, at most ``count``, take no more than ``memory`` bytes staged.

    A size that does not fit is shrunk to the largest that does.
    """
    most = max(1, memory // image_bytes)
    if min(max(sizes), count) <= most:
        return sizes
    return tuple(sorted({min(size, most) for size in sizes}))


def choose_folders(plan: Plan, facts: DatasetFacts, name: str) -> RunFolders:
    """Where the run writes, once it is known that everything fits.  Raises NoSpace and NotAllowed."""
    folder = f"imgstore-{name}"
    main = choose_work_dir(plan.work_dir, None if plan.dataset == "sample" else Path(plan.dataset)) / folder
    folders = {
        name: choose_work_dir(name.folder, None) / folder if name.folder else main for name in configurations(plan)
    }
    mounts = {path: mount_of(path) for path in dict.fromkeys((main, *folders.values()))}
    block = max(mount.block_bytes for mount in mounts.values())
    copies = _plan_copies(plan, facts, block, min(map(free_bytes, mounts)))
    everything, early = _needs(plan, facts, main, folders, mounts, copies)
    try:
        _check_needs(everything)
    except NoSpace:
        _check_needs(early)
        return RunFolders(main, folders, sum(need.bytes for need in early.values()), copies, early=True)
    return RunFolders(main, folders, sum(need.bytes for need in everything.values()), copies, early=False)


def _check_needs(needs: dict[Path, Need]) -> None:
    for path, need in needs.items():
        check_space(path.parent, need.bytes, need.files)


def _needs(
    plan: Plan,
    facts: DatasetFacts,
    main: Path,
    folders: dict[Configuration, Path],
    mounts: dict[Path, Mount],
    copies: Copies,
) -> tuple[dict[Path, Need], dict[Path, Need]]:
    """What each filesystem must hold where nothing is removed before the end, and where each block is.

    A filesystem is named by the first of the folders on it.
    """
    by_point = {mounts[path].point: path for path in reversed((main, *folders.values()))}
    nothing = dict.fromkeys(by_point.values(), Need())
    staged = Need(_distinct_images(plan, facts) * _staged_bytes(plan, facts) + _CONTAINER_BYTES, 8)
    everything, blocks = nothing | {main: staged}, dict[tuple[int, int], dict[Path, Need]]()
    for trial in trials(plan):
        mount = mounts[folders[trial.configuration]]
        need, path = _trial_need(trial, facts, mount.block_bytes, plan.workers, copies), by_point[mount.point]
        everything[path] += need
        blocks.setdefault((trial.count, trial.repeat), nothing.copy())[path] += need
    early = {path: max((block[path] for block in blocks.values()), key=lambda need: need.bytes) for path in everything}
    return everything, early | {main: early[main] + staged}


def _trial_need(trial: Trial, facts: DatasetFacts, block: int, workers: int, copies: Copies) -> Need:
    """The most that a trial writes: a container of one image to warm up; a store also its container and copies."""
    need = container_need(trial.configuration, 1, facts, block)
    if trial.reads is not None:
        return need
    container = container_need(trial.configuration, trial.count, facts, block, workers)
    copied = min(copies.allowed(trial), MOST_LOOPS * (container.bytes + FOLDER_BYTES))
    return need + container + Need(copied, min(MOST_LOOPS * container.files, copied // block + MOST_LOOPS))


def _plan_copies(plan: Plan, facts: DatasetFacts, block: int, free: int) -> Copies:
    """Share what copies may take in all equally among the stores, from the smallest on, while a copy of each fits.

    ``free`` are the bytes that are free on the fullest of the disks that the run writes to.
    """
    stores = [trial for trial in trials(plan) if trial.reads is None]
    largest = max(container_need(trial.configuration, trial.count, facts, block).bytes for trial in stores)
    total, copies = min(COPY_FACTOR * largest, int(free * COPY_SHARE)), Copies()
    for number, count in enumerate(sorted(trial.count for trial in stores if trial.repeat), 1):
        share = min(COPY_BYTES, total // number)
        if count * _image_bytes(facts) <= share:
            copies = Copies(share, count)
    return copies


def container_need(name: Configuration, count: int, facts: DatasetFacts, block: int, workers: int = 1) -> Need:
    """The most that a container of ``count`` images takes: at worst every record starts a block of its own."""
    entry = name.entry
    record = _record_bytes(name.codec, facts) + _RECORD_BYTES + entry.overhead
    data = count * (math.ceil(record / block) * block + _RECORD_BYTES)
    files = workers * entry.files + math.ceil(count * entry.files_per_record + data / (entry.shard_bytes or math.inf))
    return Need(data + workers * _CONTAINER_BYTES, files)


def _distinct_images(plan: Plan, facts: DatasetFacts) -> int:
    return min(max(plan.sizes), facts.count)


def _staged_bytes(plan: Plan, facts: DatasetFacts) -> int:
    """Bytes that staging takes for one image: its pixels, its file's own bytes, or both."""
    codecs = {configuration.codec for configuration in plan.configurations}
    pixels = _image_bytes(facts) if codecs != {SOURCE} else 0
    return pixels + (_record_bytes(SOURCE, facts) if SOURCE in codecs else 0) + 32


def _image_bytes(facts: DatasetFacts) -> int:
    """Bytes of the pixels of one image: exact where all have one size, else a bound on a sample's mean."""
    if facts.raw_bytes is None:
        return _UNKNOWN_IMAGE_BYTES
    mean = facts.raw_bytes / max(1, facts.count)
    return math.ceil(mean * _SAMPLE_MARGIN if facts.estimated else mean)


def _record_bytes(codec: str, facts: DatasetFacts) -> int:
    """Bytes of one record at most, on average: PNG of noise is a little larger than its pixels."""
    if codec == SOURCE and facts.source_bytes is not None:
        return math.ceil(facts.source_bytes / max(1, facts.count) * _SAMPLE_MARGIN)
    return math.ceil(_image_bytes(facts) * 1.02)
