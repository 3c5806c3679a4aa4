"""Runs as their events tell them: real events through the real encoding, with figures made by a formula."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from backends.bench.configuration import Configuration, configurations_of
from backends.bench.disk import Mount
from backends.bench.machine import Environment
from backends.bench.measurement import COLD, EpochFacts, Measurement, Operation, Trial
from backends.bench.plan import Plan
from backends.bench.schedule import trials
from backends.datasets.base import DatasetFacts
from backends.runs import events
from backends.runs.conversion import ConversionSpec
from backends.stores.plan import Request
from backends.stores.progress import Progress, ShardState

START = 1_790_000_000.0
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_COLD = 3.1
"""How many times longer a read from disk takes."""
_SECONDS = {  # (operation, backend) -> seconds for one image, seconds for opening
    ("store", "files"): (41e-6, 9e-4),
    ("store", "lmdb"): (8.8e-6, 7.6e-4),
    ("store", "hdf5"): (9.2e-7, 1.1e-3),
    ("read", "files"): (33e-6, 4.1e-4),
    ("read", "lmdb"): (1.9e-6, 8.4e-5),
    ("read", "hdf5"): (3.1e-7, 5.2e-4),
    ("shuffled", "files"): (35e-6, 4.1e-4),
    ("shuffled", "lmdb"): (2.2e-6, 8.4e-5),
    ("shuffled", "hdf5"): (2.22e-6, 8.8e-5),
    ("epoch", "files"): (138e-6, 5e-2),
    ("epoch", "lmdb"): (6.4e-6, 1e-3),
    ("epoch", "hdf5"): (2e-6, 4e-4),
    ("read-one", "files"): (33e-6, 4.1e-5),
    ("read-one", "lmdb"): (1.9e-6, 8.4e-5),
    ("read-one", "hdf5"): (3.1e-7, 5.2e-4),
    ("store", "limit"): (6.1e-7, 1.1e-4),
    ("read", "limit"): (2.1e-7, 4.0e-5),
    ("shuffled", "limit"): (3.0e-7, 4.0e-5),
}
_BYTES = {
    ("files", "png"): (4096, 8192, 2400),
    ("lmdb", "raw"): (4100, 12288, 4100),
    ("hdf5", "raw"): (3080, 4096, 3080),
}


def facts(
    path: str = "/data/cifar-10-batches-py", classes: tuple[str, ...] = CLASSES, count: int = 50_000
) -> DatasetFacts:
    """CIFAR-10 as it comes."""
    return DatasetFacts(
        path=path,
        kind="CIFAR-10",
        split="train",
        splits={"train": count, "test": 10_000},
        count=count,
        image_shape=(32, 32, 3),
        raw_bytes=count * 3072,
        classes=classes,
        class_counts=(count // len(classes),) * len(classes),
        fingerprint="f" * 32,
        source=path,
    )


def plan_of(
    *configurations: str,
    sizes: tuple[int, ...] = (10, 100, 1000, 10_000, 50_000),
    repeats: int = 3,
    operations: tuple[Operation, ...] = ("store", "read"),
    **more: Any,
) -> Plan:
    """A plan of configurations, by default the three of a first run."""
    names = configurations or ("files", "lmdb", "hdf5")
    return Plan(
        dataset="/data/cifar-10-batches-py",
        configurations=configurations_of(*names),
        sizes=sizes,
        repeats=repeats,
        operations=operations,
        work_dir="/scratch/me",
        **more,
    )


def measure(trial: Trial, **changes: object) -> Measurement:
    """What a trial found, by the formula; every repeat a little slower than the one before."""
    one = trial.configuration
    per_image, opening = _SECONDS.get((trial.operation, one.backend), (5e-6, 1e-3))
    if one.codec == "png" and one.backend != "files":
        per_image *= 4
    per_image *= _COLD if trial.cache == COLD else 1
    seconds = (opening + per_image * trial.count) * (1 + 0.03 * trial.repeat)
    allocated, least, apparent = _BYTES.get((one.backend, one.codec), (3500, 4096, 3400))
    found: dict[str, object] = {
        "trial": trial.index,
        "configuration": trial.configuration,
        "backend": one.backend,
        "codec": one.codec,
        "operation": trial.operation,
        "count": trial.count,
        "cache": trial.cache,
        "resident": None if trial.operation == "store" else 0.0 if trial.cache == COLD else 1.0,
        "repeat": trial.repeat,
        "outcome": "ok",
        "shown": trial.shown,
        "seconds": seconds,
        "seconds_durable": seconds * (1.4 if trial.operation == "store" else 1.0),
        "phases": {"open": opening, "write": seconds - opening},
        "cpu_seconds": seconds * 0.9,
        "peak_rss": 61_000_000 + trial.count * 300,
        "peak_anonymous": 24_000_000,
        "bytes_apparent": apparent * trial.count,
        "bytes_allocated": max(least, allocated * trial.count),
        "files": trial.count + 2 if one.backend == "files" else 1,
        "verified": True,
    }
    if trial.operation == "epoch":
        facts = EpochFacts(0, 2 * seconds, 0.1, 0.9, seconds, seconds)
        found["epochs"] = facts, replace(facts, workers=2, seconds=seconds)
    return Measurement(**(found | changes))  # type: ignore[arg-type]


def run_events(
    plan: Plan, dataset: DatasetFacts | None = None, fails: str = "", note: str = ""
) -> Iterator[events.Event]:
    """All events of a run; trials whose ``configuration operation count`` is ``fails`` fail."""
    planned = trials(plan)
    now = START
    environment = Environment(
        host="login3", user="me", system="Linux 6.1", cpu="a processor", cores=8, memory_bytes=1 << 34,
        memory_limit=None, python="3.11.7", libraries={"numpy": "2.4.6"},
        mounts=(Mount("/scratch", "ext4", "rw", "/dev/sdb", 4096, True),), load=0.1,
    )  # fmt: skip
    known = dataset or facts()
    yield events.RunStarted(
        now,
        plan,
        known,
        environment,
        len(planned),
        ("/scratch/me/imgstore-20261122-061500-k3f9",),
        500_000_000,
        (note,) if note else (),
    )
    most = min(max(plan.sizes), known.count)
    for share in (0.25, 0.5, 1.0):
        now += 0.4
        yield events.Staging(now, int(most * share), most, now - START)
    for trial in planned:
        found = measure(trial)
        yield events.TrialStarted(now, trial)
        if trial.count >= 10_000:
            for share in (0.2, 0.41, 0.8):
                yield events.Progress(
                    now + share * (found.seconds or 0), trial.index, int(trial.count * share), trial.count
                )
        now += (found.seconds or 0) + 0.01
        if f"{trial.configuration} {trial.operation} {trial.count}" == fails:
            why = "the disk is full: 12 MiB are free and 200 MiB are needed."
            empty = {"seconds": None, "seconds_durable": None, "bytes_allocated": None, "verified": False}
            yield events.TrialFinished(now, measure(trial, outcome="failed", message=why, **empty))
        else:
            yield events.TrialFinished(now, found)
    yield events.Removing(now)
    yield events.RunFinished(now, "finished", now - START)


def through_the_file(found: Iterator[events.Event]) -> Iterator[events.Event]:
    """The same events as they come back from ``events.jsonl``."""
    for event in found:
        decoded = events.decode_event(events.encode_event(event))
        assert decoded is not None
        yield decoded


@dataclass
class RecordedJob:
    """A job whose events are known; ``run`` tells them all and then waits to be stopped or cancelled."""

    told: list[events.Event]
    id: str = "20261122-061500-k3f9"
    plan: Any = field(default_factory=plan_of)  # of a run; or what a conversion is to do
    folder: Path = Path("/nowhere")
    here: bool = False
    cancelled: threading.Event = field(default_factory=threading.Event)

    def run(
        self, emit: Callable[[events.Event], None], cancelled: Callable[[], bool], stop: Callable[[], bool]
    ) -> None:
        """The events; where they do not end, as a live job: until cancelled or no longer followed."""
        for event in self.told:
            emit(event)
        if self.told and isinstance(self.told[-1], events.RunFinished | events.JobFailed):
            return
        while not stop():
            if cancelled() and not stop():
                self.cancelled.set()
            if self.cancelled.wait(0.01):
                end = self.told[-1].time + 1
                emit(events.RunFinished(end, "cancelled", end - START))
                return

    @property
    def spec(self) -> Any:
        """What it does, as ``Job.spec``."""
        return self.plan

    def cancel(self) -> None:
        """Somebody else asks it to stop."""
        self.cancelled.set()


PHOTOS = ConversionSpec(
    Request(dataset="/data/photos", configuration=Configuration("tar+source")), "/data/photos-tar", workers=4
)


def conversion_events(ended: bool = True) -> Iterator[events.Event]:
    """A conversion of photographs, in the middle or to its end."""
    total, mean = 1_281_167, 109_000
    yield events.ConversionStarted(START, "folder of pictures", "login3", total, 140, total * mean, 320.0)
    yield events.ConversionProgress(START + 1, Progress(total, 0, 0, 140, 0, 0, 0, 0))
    for second in range(5, 338, 3):
        sealed, written = second * 58 // 335, 2412 * second
        states = [
            ShardState(f"train-{sealed - back:06}.tar", 12_700 + back, 12_700 + back, 12_700 + back, 10**9 - back)
            for back in (2, 1)
        ]
        states += [
            ShardState(f"train-{sealed:06}.tar", 12_702, 12_702, 5_200),
            ShardState(f"train-{sealed + 1:06}.tar", 12_700, 9_120, 0),
        ]
        progress = Progress(
            total, written, sealed * 12_762, 140, sealed, 3, sealed * 10**9, 0, tuple(states), paused=False
        )
        yield events.ConversionProgress(START + second, progress)
    if ended:
        skipped = tuple(f"n0{number}/broken.jpg: it is cut short" for number in range(3))
        yield events.StoreMade(START + 560, total - 3, 140, total * mean, 143, 3, skipped, 41, 2)
        yield events.RunFinished(START + 560, "finished", 560.0)
