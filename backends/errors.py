"""Every error the package raises on purpose: what happened, where, and what to do next, in one sentence."""

from __future__ import annotations

import errno


class ImgstoreError(Exception):
    """Base of all errors meant for a user; ``str(error)`` can be shown as it is."""

    exit_code = 1


class UsageError(ImgstoreError, ValueError):
    """What was asked for cannot be meant: an unknown name, a size of zero."""

    exit_code = 2


class DatasetNotFound(ImgstoreError, FileNotFoundError):
    """There is no dataset at this path."""


class DatasetDamaged(ImgstoreError, ValueError):
    """There is a dataset, but a file of it is truncated, foreign or broken."""


class PictureDamaged(ImgstoreError, ValueError):
    """A picture does not decode.  The text says why, not which: ``it is empty``."""


class ContainerDamaged(ImgstoreError, ValueError):
    """A container's bytes are not what its writer wrote."""


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
    """Somebody asked to stop, and it stopped."""


def refusal(error: OSError, path: object) -> ImgstoreError | None:
    """What to say where the operating system refuses to open ``path``, which may be whole; None for other errors."""
    if isinstance(error, PermissionError):
        return NotAllowed(f"{path} may not be read: change its permissions.")
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return TooManyFiles(f"{path} cannot be opened, as too many files are: close some, or raise ulimit -n.")
    return None
