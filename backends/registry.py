"""Names of backends and codecs, and where each lives; a library is imported when its backend is first used."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

from backends.errors import BackendUnavailable, UsageError
from backends.options import JpegOptions, Options, PngOptions

if TYPE_CHECKING:
    from backends.base import Backend, Codec

LIMIT = "limit"
"""The reference that moves bare bytes: what the machine allows."""

ENTRY_POINTS = "imgstore.backends"
"""Group through which other packages add backends: each entry point is a ``BackendEntry``."""


@dataclass(frozen=True, slots=True)
class BackendEntry:
    """What is known of a backend without importing it.

    Attributes
    ----------
    target
        ``module:Class`` of the Backend.
    codec
        The codec of a bare backend name, for images of one size.
    operations, from_disk
        What it can be measured at, and which of these find out what is in the page cache.
    reference
        It is there to compare with, and never to keep images in.
    library
        The importable module it needs; None where the standard library is enough.
    extra
        The pip extra that brings the library; None where it comes with the program.
    """

    name: str
    title: str
    target: str
    codec: str
    library: str | None = None
    extra: str | None = None
    options: type[Options] = Options
    operations: tuple[str, ...] = ("store", "read", "shuffled", "store-one", "read-one")
    from_disk: tuple[str, ...] = ("read", "shuffled", "read-one")
    reference: bool = False

    @property
    def installed(self) -> bool:
        return self.library is None or find_spec(self.library) is not None

    @property
    def install_command(self) -> str:
        """What a user types to get the missing library."""
        return f"pip install 'imgstore-tui[{self.extra}]'" if self.extra else f"pip install {self.library}"


@dataclass(frozen=True, slots=True)
class CodecEntry:
    """What is known of a codec without importing it.

    Attributes
    ----------
    channels
        The numbers of channels that it keeps.
    """

    name: str
    title: str
    target: str
    options: type[Options] = Options
    lossless: bool = True
    channels: tuple[int, ...] = (1, 3, 4)


_BACKENDS = (
    BackendEntry("files", "one file an image", "backends.files:Files", "png"),
    BackendEntry("lmdb", "LMDB environment", "backends.lmdb:LMDB", "raw", library="lmdb"),
    BackendEntry("hdf5", "HDF5 file", "backends.hdf5:HDF5", "raw", library="h5py"),
    BackendEntry("npy", "numpy arrays", "backends.npy:Npy", "raw"),
    BackendEntry("sqlite", "SQLite database", "backends.sqlite:SQLite", "raw"),
    BackendEntry("tar", "WebDataset tar", "backends.tar:Tar", "raw"),
)
_ARTICLE = ("store", "read", "store-one", "read-one")
_REFERENCES = tuple(
    BackendEntry(name, title, target, "raw", library, operations=operations, from_disk=from_disk, reference=True)
    for name, title, target, library, operations, from_disk in (
        (LIMIT, "bare bytes", "backends.bench.references", None, ("store", "read", "shuffled", "copy"), ("read",)),
        ("article-png", "the article's PNG files", "backends.article", None, _ARTICLE, _ARTICLE),
        ("article-lmdb", "the article's LMDB", "backends.article", "lmdb", _ARTICLE, _ARTICLE),
        ("article-hdf5", "the article's HDF5", "backends.article", "h5py", _ARTICLE, _ARTICLE),
    )
)
_CODECS = (
    CodecEntry("raw", "pixels as they are", "backends.codecs.raw:Raw"),
    CodecEntry("png", "PNG, lossless", "backends.codecs.png:Png", options=PngOptions),
    CodecEntry("source", "picture files as they are", "backends.codecs.source:Source"),
    CodecEntry("jpeg", "JPEG, lossy", "backends.codecs.jpeg:Jpeg", JpegOptions, lossless=False, channels=(1, 3)),
)


@cache
def backend_entries() -> dict[str, BackendEntry]:
    """All backends that keep images, by name: ours in the order of the tables, then those of other packages."""
    found = {entry.name: entry for entry in _BACKENDS}
    for point in entry_points(group=ENTRY_POINTS):
        entry = cast("BackendEntry", point.load())
        found.setdefault(entry.name, entry)
    return found


@cache
def codec_entries() -> dict[str, CodecEntry]:
    """All codecs by name."""
    return {entry.name: entry for entry in _CODECS}


def backend_entry(name: str) -> BackendEntry:
    """The entry of one backend.  Raises UsageError for an unknown name."""
    known = backend_entries()
    references = {entry.name: entry for entry in _REFERENCES}
    if name not in known | references:
        raise UsageError(f"there is no backend {name!r}: choose one of {', '.join(known)}.")
    return (references | known)[name]


def codec_entry(name: str) -> CodecEntry:
    """The entry of one codec.  Raises UsageError for an unknown name."""
    known = codec_entries()
    if name not in known:
        raise UsageError(f"there is no codec {name!r}: choose one of {', '.join(known)}.")
    return known[name]


def require_backend(name: str) -> BackendEntry:
    """The entry of one backend, whose library is there.  Raises UsageError and BackendUnavailable."""
    entry = backend_entry(name)
    if not entry.installed:
        raise BackendUnavailable(
            f"{name} needs the library {entry.library}, which is not installed: {entry.install_command}"
        )
    return entry


def make_backend(name: str, options: Options | None = None) -> Backend:
    """A backend ready for use.

    Raises
    ------
    BackendUnavailable
        Its library is not installed; the message has the command that installs it.
    """
    entry = require_backend(name)
    return cast("Backend", _load(entry.target)(options or entry.options()))


def make_codec(name: str, options: Options | None = None) -> Codec:
    """A codec ready for use."""
    entry = codec_entry(name)
    return cast("Codec", _load(entry.target)(options or entry.options()))


@cache
def _load(target: str) -> type:
    module, _, name = target.partition(":")
    return cast("type", getattr(import_module(module), name))
