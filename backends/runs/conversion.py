"""A conversion as a job: what it is to do, its body, and what its events say so far."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from backends.runs import events
from backends.stores.convert import Control, convert
from backends.stores.manifest import Manifest
from backends.stores.plan import Request, StorePlan
from backends.stores.preflight import Estimate
from backends.stores.progress import Progress
from backends.stores.store import open_store

SKIPPED = 50  # how many pictures that do not decode are named: an event stays below 64 KiB
SHORTEST, LONGEST = 0.25, 2.0
"""Seconds between two events of progress: a six-hundredth of what has passed, so that a job of days has few."""
RATE_EVENTS = 40  # over which the rate is taken


class ConversionSpec(msgspec.Struct, frozen=True):
    """What a conversion is to do."""

    request: Request
    destination: str  # an absolute path
    workers: int = 0
    resume: bool = False


@dataclass(frozen=True, eq=False)
class Conversion:
    """A conversion as far as it came; what its events have not told yet is None, empty or 0."""

    spec: ConversionSpec
    start: events.ConversionStarted | None = None
    waiting: str = ""  # for which job, in words
    found: int = 0  # pictures, while they are listed
    progress: Progress | None = None  # the latest
    recent: tuple[tuple[float, int], ...] = ()  # times and written images, up to now
    made: events.StoreMade | None = None
    end: events.RunFinished | events.JobFailed | None = None
    now: float = 0.0  # time of the latest event
    stopping: bool = False  # it was asked to stop

    def after(self, *new: events.Event) -> Conversion:
        """The conversion after more events."""
        changes: dict[str, Any] = {}
        recent = list(self.recent)
        for event in new:
            changes["now"] = event.time
            match event:
                case events.Waiting(why=why):
                    changes["waiting"] = why
                case events.Listing(found=found):
                    changes["found"] = found
                case events.ConversionStarted():
                    changes["start"] = event
                case events.ConversionProgress(progress=progress):
                    before = changes.get("progress", self.progress)
                    if progress.paused or (before and before.paused):
                        recent.clear()
                    recent.append((event.time, progress.written))
                    changes["progress"] = progress
                case events.StoreMade():
                    changes["made"] = event
                case events.RunFinished() | events.JobFailed():
                    changes |= {"end": event, "stopping": False}
        return replace(self, recent=tuple(recent[-RATE_EVENTS:]), **changes)

    @property
    def phase(self) -> str:
        """``starting``, ``running``, ``finishing``, then ``finished``, ``cancelled`` or ``failed``."""
        if self.end is not None:
            return self.end.outcome if isinstance(self.end, events.RunFinished) else "failed"
        if self.progress is None:
            return "starting"
        return "finishing" if self.progress.sealed == self.progress.shards else "running"

    @property
    def alive(self) -> bool:
        return self.end is None

    @property
    def can_stop(self) -> bool:
        """Whether there is anything to stop: not while the index is written."""
        return self.phase in ("starting", "running") and not self.stopping

    @property
    def is_paused(self) -> bool:
        return self.phase == "running" and self.progress is not None and self.progress.paused

    @property
    def message(self) -> str:
        """Why the conversion failed; empty where it did not."""
        return self.end.message if isinstance(self.end, events.JobFailed) else ""

    @property
    def images(self) -> int:
        """Images of the dataset, or of the store where it was complete before."""
        return self.start.images if self.start else self.made.images if self.made else 0

    @property
    def share(self) -> float:
        """Of the images, those that are durable or do not decode: 0 to 1."""
        progress = self.progress
        return (progress.durable + progress.failures) / max(1, progress.images) if progress else 0.0

    @property
    def seconds(self) -> float:
        """From the first event to the latest."""
        return max(0.0, self.now - self.start.time) if self.start else 0.0

    @property
    def images_per_second(self) -> float | None:
        """Written images a second, lately; None while that is not known, and in a pause."""
        if len(self.recent) < 2 or self.is_paused:
            return None
        (begin, before), (now, written) = self.recent[0], self.recent[-1]
        return max(0, written - before) / (now - begin) if now > begin else None

    @property
    def seconds_left(self) -> float | None:
        """Seconds to the last durable image at the rate of late."""
        rate, progress = self.images_per_second, self.progress
        if not rate or progress is None:
            return None
        return (progress.images - progress.written - progress.failures) / rate


def run_conversion(
    spec: ConversionSpec,
    emit: Callable[[events.Event], None],
    cancelled: Callable[[], bool],
    paused: Callable[[], bool],
) -> None:
    """Make the store in this process; ``emit`` takes every event, the other two are called ten times a second.

    Raises ImgstoreError as ``convert`` does.
    """
    begin, last = time.time(), 0.0
    latest: Progress | None = None

    def announce(plan: StorePlan, needs: Estimate) -> None:
        facts = plan.kind, socket.gethostname(), plan.images, len(plan.shards), needs.bytes, needs.seconds
        emit(events.ConversionStarted(time.time(), *facts))

    def report(progress: Progress) -> None:
        nonlocal last, latest
        now = time.time()
        due = now - last >= min(LONGEST, max(SHORTEST, (now - begin) / 600))
        if progress != latest and (due or progress.sealed == progress.shards):
            last, latest = now, progress
            emit(events.ConversionProgress(now, progress))

    manifest = convert(
        spec.request,
        Path(spec.destination),
        workers=spec.workers,
        resume=spec.resume,
        control=Control(events.listing(emit), announce, report, cancelled, paused),
    )
    assert manifest is not None, "only a part has none"
    emit(_store_made(Path(spec.destination), manifest))
    emit(events.RunFinished(time.time(), "finished", time.time() - begin))


def _store_made(folder: Path, manifest: Manifest) -> events.StoreMade:
    with open_store(folder) as store:
        skipped = store.failures[:SKIPPED] if manifest.failures else []
    return events.StoreMade(
        time.time(),
        manifest.images,
        len(manifest.shards),
        sum(shard.bytes for shard in manifest.shards),
        sum(shard.files for shard in manifest.shards) + 3,
        manifest.failures,
        tuple(f"{name}: {why}"[:200] for _, _, name, why in skipped),
        manifest.duplicates,
        manifest.in_two_splits,
    )
