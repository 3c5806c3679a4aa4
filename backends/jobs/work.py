"""Doing a job: its lock, its events, its end, whatever comes."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import traceback
from typing import TYPE_CHECKING

from backends.errors import ImgstoreError
from backends.jobs import events
from backends.jobs.folder import CANCEL, EVENTS, HEARD, hold_lock, read_spec
from backends.jobs.journal import Journal
from backends.jobs.run import run

if TYPE_CHECKING:
    from pathlib import Path
    from types import FrameType


def work(folder: Path) -> int:
    """Do the job of ``folder`` in this process, which SIGINT, SIGTERM and SIGHUP cancel.

    Returns
    -------
    int
        0 where a last event says how it ended, 1 where even that failed.
    """

    def ask_to_stop(number: int, frame: FrameType | None) -> None:
        (folder / CANCEL).touch()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, ask_to_stop)
    return do_job(folder)


def do_job(folder: Path) -> int:
    """Do the job of ``folder`` in this thread; the last event says how it ended."""

    def cancelled() -> bool:
        asked = (folder / CANCEL).exists()
        if asked:
            with contextlib.suppress(OSError):
                (folder / HEARD).touch()
        return asked

    lock = hold_lock(folder)
    journal = Journal(folder / EVENTS)
    try:
        plan, _ = read_spec(folder)
        run(plan, folder.name, journal.append, cancelled)
    except ImgstoreError as error:
        journal.append(events.JobFailed(time.time(), str(error), error.exit_code))
    except Exception as error:  # the last place where anybody can be told
        traceback.print_exc()
        journal.append(events.JobFailed(time.time(), f"the job failed: {type(error).__name__}: {error}"))
    finally:
        journal.close()
        os.close(lock)
    return 0
