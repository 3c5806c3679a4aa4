"""The lock for which jobs wait: of those below one folder, one at a time works on this machine.

It is a lock of the kernel, so that it is free again as soon as its job has ended, however it ended.
"""

from __future__ import annotations

import fcntl
import os
import platform
import time
from pathlib import Path

from backends import limits
from backends.bench.disk import read_regular
from backends.bench.plan import Plan
from backends.errors import ImgstoreError, NotAllowed
from backends.runs.folder import read_spec


def take_lock(jobs: Path, job: str) -> int | None:
    """Take the lock for ``job``, until the descriptor returned is closed; None where another job holds it.

    Raises NotAllowed where the filesystem has no locks.
    """
    path, descriptor = _path(jobs), -1
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, job.encode(), 0)
    except OSError as error:
        if descriptor >= 0:
            os.close(descriptor)
        if isinstance(error, BlockingIOError):
            return None
        elsewhere = "set XDG_STATE_HOME to a folder on a local disk"
        raise NotAllowed(f"{path} cannot be locked ({error.strerror}): {elsewhere}.") from None
    return descriptor


def holder(jobs: Path) -> tuple[str, str]:
    """The id of the job that holds the lock, and words for it; the id is empty where it is not known yet."""
    try:
        job = read_regular(_path(jobs), limits.HEADER_BYTES).decode()
        spec, created = read_spec(jobs / job)
    except (OSError, ValueError, ImgstoreError):
        return "", "another job"
    kind, dataset = ("run", spec.dataset) if isinstance(spec, Plan) else ("conversion", spec.request.dataset)
    began, today = (time.strftime("%Y-%m-%d %H:%M", time.localtime(at)) for at in (created, time.time()))
    return job, f"the {kind} of {dataset}, started {began.removeprefix(f'{today[:10]} ')} ({job})"


def _path(jobs: Path) -> Path:
    return jobs / f".working-{platform.node()}"
