"""The runs and conversions that the app follows, each in a thread."""

from __future__ import annotations

import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tui.labels import sentence_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from textual.worker import Worker

    from backends.runs.conversion import Conversion
    from backends.runs.events import Event
    from backends.runs.job import Job
    from backends.runs.run import Run

MOST_THREADS = 64
"""One for each run that is followed, and for each disk that is being read."""


class Threads(ThreadPoolExecutor):
    """A pool of threads that ends without waiting for a thread that waits for a dead disk."""

    def __init__(self) -> None:
        super().__init__(MOST_THREADS)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = True) -> None:
        super().shutdown(wait=False, cancel_futures=cancel_futures)


def end_process(code: int) -> int:
    """End the process at once where a thread still hangs, for which the interpreter would wait; else give ``code``."""
    if any(thread is not threading.current_thread() and not thread.daemon for thread in threading.enumerate()):
        sys.stdout.flush()
        os._exit(code)
    return code


@dataclass(slots=True)
class Followed:
    """A job of this app, or a saved run, which has none.  ``stop`` ends the following, not the job."""

    id: str
    run: Run | Conversion
    job: Job | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    def perform(self, job: Job, post: Callable[[Event], None], worker: Worker[Any]) -> None:
        """Execute or follow the run in this thread, and post its events; ends when the run ends."""
        from backends.runs.events import JobFailed

        try:
            job.run(post, lambda: worker.is_cancelled, self.stop.is_set)
        except Exception as error:  # Textual says nothing of what a cancelled worker raises
            post(JobFailed(time.time(), sentence_of(error)))
            raise

    @property
    def kind(self) -> str:
        """``run`` or ``conversion``."""
        return type(self.run).__name__.lower()

    @property
    def here(self) -> bool:
        """Whether it goes on in a thread of this program, which cannot be left without it."""
        return self.job is not None and self.job.here and self.run.alive


def state_of(job: Job) -> Run | Conversion:
    """What is known of a job before its first event."""
    from backends.bench.plan import Plan
    from backends.runs.run import Run

    if isinstance(spec := job.spec, Plan):
        return Run(spec)
    from backends.runs.conversion import Conversion

    return Conversion(spec)


def stop_job(folder: Path) -> None:
    """Stop a job that somebody else may follow, and return once it has ended."""
    from backends.runs.job import open_job

    job = open_job(folder)
    job.cancel()
    for _ in job.follow():
        pass
