"""The errors of this package.  Each says in one sentence what happened, where, and what to do next."""

from __future__ import annotations

import errno


class ImgstoreError(Exception):
    """Base of all errors for users; ``str(error)`` can be shown as it is."""

    exit_code = 1


class UsageError(ImgstoreError, ValueError):
    """Wrong use: an unknown name, a size of zero."""

    exit_code = 2


class UnclearLayout(UsageError):
    """A dataset can be read in several ways: ``choices`` are its folders to choose of, and the pictures in each."""

    def __init__(self, message: str, choices: dict[str, int] | None = None) -> None:
        super().__init__(message)
        self.choices = choices or {}


class DatasetNotFound(ImgstoreError, FileNotFoundError):
    """There is no dataset at this path."""


class DatasetDamaged(ImgstoreError, ValueError):
    """A file of a dataset is missing, truncated, foreign or broken."""


class PictureDamaged(ImgstoreError, ValueError):
    """A picture does not decode.  The text says why, but not which picture: ``it is empty``."""


class ContainerDamaged(ImgstoreError, ValueError):
    """A container is incomplete or broken, or not of this backend."""


class StoreDamaged(ImgstoreError, ValueError):
    """Something of a store is missing, or is not what was written."""

    exit_code = 3


class StoreNotFound(ImgstoreError, FileNotFoundError):
    """There is no store at this path."""


class StoreBusy(ImgstoreError):
    """Another process writes the store."""


class MachineBusy(ImgstoreError):
    """Another job is going on on this machine: its id, empty where that is not known, and words for it."""

    def __init__(self, job: str, words: str) -> None:
        stop = f", or stop it: imgstore-tui history stop {job}" if job else "."
        super().__init__(f"{words} is going on: wait for its end{stop}")
        self.job, self.words = job, words


class NotAllowed(ImgstoreError, PermissionError):
    """The operating system refuses to read or write here."""


class TooManyFiles(ImgstoreError, OSError):
    """This process may open no more files."""


class NoSpace(ImgstoreError, OSError):
    """The filesystem has too few bytes or inodes left."""


class OlderFormat(ImgstoreError):
    """A record of a run that only the version that made it can read; ``created`` is its time since the epoch."""

    def __init__(self, message: str, created: float) -> None:
        super().__init__(message)
        self.created = created


class BackendUnavailable(ImgstoreError, ImportError):
    """The library that a backend needs is not installed."""


class Cancelled(ImgstoreError):
    """The work was stopped on request."""


def exceeded_limit(error: BaseException) -> ImgstoreError | None:
    """The error to raise for one of the operating system that says that a limit of this process is reached."""
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.EMFILE, errno.ENFILE):
        return TooManyFiles("too many files are open: close some, or allow more with ulimit -n.")
    if number == errno.EFBIG:
        return NoSpace("a file would be larger than is allowed: allow more with ulimit -f.")
    return None


def refusal(error: OSError, path: object) -> ImgstoreError | None:
    """The error to raise if ``path`` could not be opened but may be intact; None for all other errors."""
    if isinstance(error, PermissionError):
        return NotAllowed(f"{path} may not be read: change its permissions.")
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return TooManyFiles(f"{path} cannot be opened, as too many files are: close some, or raise ulimit -n.")
    return None
