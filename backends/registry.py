"""Names of backends and codecs, and where each lives; a library is imported when its backend is first used."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from backends.base import JpegOptions, Options, PngOptions
from backends.errors import BackendUnavailable, UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from backends.base import Backend, Codec

LIMIT = "limit"
"""The reference that moves bare bytes: what the machine allows."""

ENTRY_POINTS = "imgstore.backends"
"""Group through which other packages add backends: each entry point is a ``BackendEntry``."""


@dataclass(frozen=True, slots=True)
class BackendEntry:
    """What is known of a backend without importing it: all that the rest of the program needs to list and plan it."""

    name: str
    title: str
    target: str  # "module:Class" of the Backend
    codec: str = "raw"  # of a bare name; raw is for images of one size only, png gives way to source where files exist
    library: str | None = None  # importable module that it needs; None where the standard library is enough
    extra: str | None = None  # pip extra that brings the library; None where it comes with the program
    codecs: tuple[str, ...] = ()  # that it keeps; empty for every one
    options: type[Options] = Options
    marks: str = "★☆✪"  # how charts show its first, second and third configuration
    colour: str = ""  # in charts, one of the theme's; empty for none of its own
    overhead: int = 0  # bytes around each record, beyond a few and the rest of a block of the filesystem
    files: int = 32  # files and folders of a container at most, beside those of the next two fields
    files_per_record: float = 0.0
    shard_bytes: int | None = None  # another file begins after so many bytes
    shard_path: str = "shards/{shard:05}"  # of a container in a store; {split}, {number} of {of} in it
    local_only: bool = False  # its library must not write on a filesystem of the network
    operations: tuple[str, ...] = (
        "store",
        "read",
        "shuffled",
        "epoch",
        "store-one",
        "read-one",
    )  # that it can be measured at
    from_disk: tuple[str, ...] = ("read", "shuffled", "epoch", "read-one")  # those that depend on the page cache
    reference: bool = False  # it is there to compare with, and never to keep images in
    pixel_rate: float | None = None  # bytes of pixels a second that its store takes, where its codec does not tell
    error: str = ""  # why a plug-in is broken, and what to do

    @property
    def installed(self) -> bool:
        return not self.error and (self.library is None or find_spec(self.library.partition(".")[0]) is not None)

    @property
    def keeps_files(self) -> bool:
        """Whether each record is a file of its own."""
        return self.files_per_record >= 1

    @property
    def install_command(self) -> str:
        """What a user types to get the missing library."""
        return f"pip install 'imgstore-tui[{self.extra}]'" if self.extra else f"pip install {self.library}"

    @property
    def missing(self) -> str:
        """Why it cannot be used, and what to do; empty where it can."""
        return "" if self.installed else self.error or f"not installed: {self.install_command}"


@dataclass(frozen=True, slots=True)
class CodecEntry:
    """What is known of a codec without importing it."""

    name: str
    title: str
    target: str
    options: type[Options] = Options
    lossless: bool = True
    channels: tuple[int, ...] = (1, 3, 4)  # numbers of channels that it keeps

    @property
    def description(self) -> str:
        """``PNG, lossless``."""
        return f"{self.title}, {'lossless' if self.lossless else 'lossy'}"


_BACKENDS = (
    BackendEntry(
        "files", "one file an image", "backends.containers.files:Files", "png",
        marks="●○◉", colour="yellow", files_per_record=1.01,  # 100 a folder
    ),
    BackendEntry(
        "lmdb", "LMDB environment", "backends.containers.lmdb:LMDB", library="lmdb",
        marks="▲△◭", colour="blue", shard_path="shards/{shard:05}.lmdb", local_only=True,
    ),
    BackendEntry(
        "hdf5", "HDF5 file", "backends.containers.hdf5:HDF5", library="h5py",
        marks="■□▣", colour="green", shard_path="shards/{shard:05}.h5",
    ),
    BackendEntry(
        "npy", "numpy arrays", "backends.containers.npy:Npy",
        marks="◆◇◈", colour="magenta",
    ),
    BackendEntry(
        "sqlite", "SQLite database", "backends.containers.sqlite:SQLite",
        marks="✚✛✜", colour="cyan", shard_path="shards/{shard:05}.sqlite", local_only=True,
        overhead=4_096,  # with the rest of a block this bounds what is empty of a page
    ),
    BackendEntry(
        "tar", "WebDataset tar", "backends.containers.tar:Tar",
        marks="✖✕✗", colour="brown", files=1, shard_path="{split}-{number:06}.tar",
        overhead=2_176,  # two headers, the label in a member of its own, and the rest of blocks
    ),
    BackendEntry(
        "zarr", "zarr group", "backends.containers.zarr:Zarr", library="zarr", extra="zarr",
        marks="⬢⬡⬣", colour="teal", shard_bytes=1 << 24,
        shard_path="shards/{shard:05}.zarr",
    ),
    BackendEntry(
        "parquet", "Hugging Face Parquet", "backends.containers.parquet:Parquet", "png", library="pyarrow",
        extra="parquet", codecs=("source", "png"), marks="▮▯◨", colour="violet",
        shard_path="data/{split}-{number:05}-of-{of:05}.parquet",
    ),
)  # fmt: skip
_ARTICLE = ("store", "read", "store-one", "read-one")
_REFERENCES = (
    BackendEntry(
        LIMIT, "bare bytes", "backends.bench.references", codecs=("raw", "source"), marks="▼",
        operations=("store", "read", "shuffled", "copy"), from_disk=("read",), reference=True,
    ),
    BackendEntry(
        "article-png", "the article's PNG files", "backends.bench.article", codecs=("raw",), marks="▷",
        operations=_ARTICLE, from_disk=_ARTICLE, reference=True, files_per_record=1.0, pixel_rate=15e6,
    ),
    BackendEntry(
        "article-lmdb", "the article's LMDB", "backends.bench.article", codecs=("raw",), library="lmdb", marks="▽",
        operations=_ARTICLE, from_disk=_ARTICLE, reference=True,
    ),
    BackendEntry(
        "article-hdf5", "the article's HDF5", "backends.bench.article", codecs=("raw",), library="h5py", marks="◁",
        operations=_ARTICLE, from_disk=_ARTICLE, reference=True,
    ),
)  # fmt: skip
_CODECS = (
    CodecEntry("raw", "pixels as they are", "backends.codecs.raw:Raw"),
    CodecEntry("png", "PNG", "backends.codecs.png:Png", options=PngOptions),
    CodecEntry("source", "picture files as they are", "backends.codecs.source:Source"),
    CodecEntry("jpeg", "JPEG", "backends.codecs.jpeg:Jpeg", JpegOptions, lossless=False, channels=(1, 3)),
)


@cache
def backend_entries() -> dict[str, BackendEntry]:
    """All backends that keep images, by name: ours in the order of the tables, then those of other packages.

    A plug-in that is broken is among them, and says so in its ``error``.
    """
    entries = {entry.name: entry for entry in _BACKENDS}
    for point in entry_points(group=ENTRY_POINTS):
        entry = _plug_in(point, {*entries, *(entry.name for entry in _REFERENCES)})
        entries[entry.name] = entry
    return entries


def _plug_in(point: EntryPoint, taken: set[str]) -> BackendEntry:
    """The entry of a plug-in, whatever it does when it is imported; where it is broken, one that says why."""
    package = point.dist.name if point.dist else "an unknown package"
    try:
        entry = point.load()
        wrong = _wrong_with(entry, taken)
    except (Exception, SystemExit) as error:
        wrong = f"cannot be imported ({type(error).__name__}: {' '.join(str(error).split())[:300]})"
    if not wrong:  # there is no loader to print for it, by which epochs are read
        ours = cast("BackendEntry", entry)
        return replace(ours, operations=tuple(name for name in ours.operations if name != "epoch"))
    name = spare = re.sub(r"[^\w.-]", "-", point.name)
    number = 1
    while name in taken:
        number += 1
        name = f"{spare}-{number}"
    remedy = f"update that package, or remove it: pip uninstall {package}"
    why = f"the plug-in {point.name!r} of {package} {wrong}: {remedy}"
    return BackendEntry(name, "a broken plug-in", "", "raw", error=why)


def _wrong_with(loaded: object, taken: set[str]) -> str:
    """What keeps an object that a plug-in calls its entry from being one; empty for nothing."""
    if not isinstance(loaded, BackendEntry):
        return f"is no BackendEntry but {type(loaded).__name__}"
    entry: Any = loaded  # nobody checked the types of its fields
    texts = (entry.name, entry.title, entry.target, entry.library or "x", *entry.operations, *entry.from_disk)
    if not all(isinstance(text, str) and text for text in texts) or not re.fullmatch(r"[\w.]+:\w+", entry.target):
        return "has an entry whose name, title, target (module:Class), library or operations are not as documented"
    if not re.fullmatch(r"\w[\w.-]*", entry.name):
        return f"is called {entry.name!r}, which no configuration can have in it"
    if entry.name in taken:
        return f"is called {entry.name!r}, as another backend is"
    if entry.codec not in codec_entries():
        return f"has the codec {entry.codec!r}, which does not exist"
    if not isinstance(entry.options, type) or not issubclass(entry.options, Options):
        return "has options that are no Options"
    return ""


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
    if entry.error:
        raise BackendUnavailable(f"{name} cannot be used: {entry.error}")
    if not entry.installed:
        raise BackendUnavailable(
            f"{name} needs the library {entry.library}, which is not installed: {entry.install_command}"
        )
    return entry


def make_backend(name: str, options: Options | None = None) -> Backend:
    """A backend ready for use.  Raises BackendUnavailable, with the command that installs what is missing."""
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
