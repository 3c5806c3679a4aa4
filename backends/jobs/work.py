"""Doing a job: its lock, its events, its end, whatever comes."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import traceback
from typing import TYPE_CHECKING

from backends.errors import Cancelled, ImgstoreError
from backends.jobs import events
from backends.jobs.folder import CANCEL, EVENTS, HEARD, LOG, hold_lock, read_spec
from backends.jobs.journal import Journal
from backends.jobs.run import run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOOK_SECONDS = 0.1
"""How often it is looked whether somebody else asks the job to stop."""


def work(folder: Path) -> int:
    """Do the job of ``folder`` in this process, which SIGINT, SIGTERM and SIGHUP cancel; give the exit code."""
    signals: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: signals.append(number))
    do_job(folder, lambda event: None, lambda: bool(signals))
    return 0


def do_job(folder: Path, emit: Callable[[events.Event], None], cancelled: Callable[[], bool]) -> None:
    """Do the job of ``folder`` in this thread; its events are recorded, and told to ``emit``.

    It stops where ``cancelled`` says so, or anybody puts the file that asks for it into the folder.
    """
    lock = hold_lock(folder)
    journal = Journal(folder / EVENTS)
    begin = time.time()

    def record(event: events.Event) -> None:
        journal.append(event)
        emit(event)

    try:
        plan, _ = read_spec(folder)
        run(plan, record, _any_cancel(folder, cancelled), folder.name)
    except Cancelled:
        record(events.RunFinished(time.time(), "cancelled", time.time() - begin))
    except ImgstoreError as error:
        record(events.JobFailed(time.time(), str(error), error.exit_code))
    except Exception as error:  # the last place where anybody can be told
        with (folder / LOG).open("a") as log:
            traceback.print_exc(file=log)
        record(events.JobFailed(time.time(), f"the job failed: {type(error).__name__}: {error}"))
    finally:
        journal.close()
        os.close(lock)


def _any_cancel(folder: Path, cancelled: Callable[[], bool]) -> Callable[[], bool]:
    """Whether the job is to stop, by ``cancelled`` or by the file; it is cheap enough to be asked after each batch."""
    asked, looked = False, 0.0

    def check() -> bool:
        nonlocal asked, looked
        if not asked:
            asked, now = cancelled(), time.monotonic()
            if not asked and now - looked >= LOOK_SECONDS:
                asked, looked = (folder / CANCEL).exists(), now
            if asked:
                with contextlib.suppress(OSError):
                    (folder / HEARD).touch()
        return asked

    return check
