"""The contract that every backend and codec fulfils, and their options.

A backend turns records into bytes on disk and back, at exactly the path it is given, and nothing else.
Syncing, sizes, progress, timing, verification and removal are done from outside, once, for all.
The registry imports this module, so numpy is imported inside the method that uses it.

Backends of other packages may use this module, ``images``, ``errors``, ``registry.BackendEntry``, ``testing``,
``containers.records`` (what writers and readers share) and ``containers.fileio`` (files by position).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import Field, dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar

from backends.errors import UsageError
from backends.guard import Guard

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    import numpy as np
    from numpy.typing import NDArray

    from backends.images import Images, Layout, Records


def option(default: int, least: tuple[int, str], most: tuple[int, str]) -> Any:
    """A field of options: its default and its bounds, each with what it means."""
    return field(default=default, metadata={"bounds": (least, most)})


def bounds_of(one: Field[Any]) -> str:
    """The bounds of a field of options: ``0 (no compression) to 12 (smallest)``."""
    return " to ".join(f"{bound} ({meaning})" for bound, meaning in one.metadata.get("bounds", ()))


@dataclass(frozen=True, slots=True)
class Options:
    """No options.  Subclasses add integer fields made by ``option``, or check their fields themselves."""

    def __post_init__(self) -> None:
        for one in fields(self):
            bounds, value = [bound for bound, _ in one.metadata.get("bounds", ())], getattr(self, one.name)
            if bounds and not bounds[0] <= value <= bounds[1]:
                raise UsageError(f"{one.name}={value} is not there: choose {bounds_of(one)}.")


@dataclass(frozen=True, slots=True)
class PngOptions(Options):
    """Attributes: ``level``, the effort of deflate; at 0 the pixels stay as they are."""

    level: int = option(1, (0, "no compression"), (12, "smallest"))


@dataclass(frozen=True, slots=True)
class JpegOptions(Options):
    """Attributes: ``quality``, as libjpeg counts it."""

    quality: int = option(90, (1, "smallest"), (100, "best"))


def parse_options(kind: type[Options], text: str, owner: str) -> Options:
    """Make options of ``text``, such as ``level=1,other=2``.  Raises UsageError for what ``owner`` does not have."""
    known = {field.name for field in fields(kind)}
    values: dict[str, int] = {}
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        if name not in known:
            has = f"it has {', '.join(sorted(known))}" if known else "it has none"
            raise UsageError(f"{owner} has no option {name!r}: {has}.")
        try:
            values[name] = int(value)
        except ValueError:
            raise UsageError(f"{owner}: {part!r} is not NAME=WHOLE NUMBER.") from None
    try:
        return kind(**values)
    except UsageError as error:
        raise UsageError(f"{owner}: {error}") from None


def format_options(options: Options) -> str:
    """The options that differ from their defaults, as ``parse_options`` reads them."""
    changed = ((f.name, getattr(options, f.name), f.default) for f in fields(options))
    return ",".join(f"{name}={value}" for name, value, default in changed if value != default)


class Backend(ABC):
    """One way of keeping records on disk.  ``options`` are of the dataclass that the registry names for it."""

    name: ClassVar[str]

    def __init__(self, options: Options) -> None:
        self.options = options

    @abstractmethod
    def create(self, path: Path, layout: Layout) -> Writer:
        """Start a container, one file or one folder, at exactly ``path``.  Raises FileExistsError if that exists."""

    @abstractmethod
    def open(self, path: Path) -> Reader:
        """Open a finished container for reading.

        Raises
        ------
        FileNotFoundError
            Nothing is there.
        ContainerDamaged
            What is there is not a finished container of this backend: it is another's, was never closed, is cut, or
            lacks a file.  What a reader does not look at when it opens may be refused when it is read instead.
        """


class Writer(ABC):
    """Appends records to a new container; leaving the ``with`` block normally closes, an exception aborts.

    Until it is closed, what it has written is refused as ContainerDamaged.  A full disk is raised as OSError.
    """

    @abstractmethod
    def append(self, records: Records) -> None:
        """Add a batch behind what is there; its arrays may be written over as soon as this returns.

        Raises ValueError where the batch does not fit the layout, or the writer was aborted.
        """

    @abstractmethod
    def close(self) -> None:
        """Finish: all bytes are with the kernel, unsynced.  May be called twice.  What fails aborts.

        Raises ValueError where fewer records were appended than the layout says.
        """

    @abstractmethod
    def abort(self) -> None:
        """Close and remove what this writer made, and nothing else.  May be called after ``close``, and twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()


class Reader(ABC):
    """Random access to a finished container.  Picklable, and safe to use after fork and spawn.

    Threads may share it: their reads run at once.  ``close`` waits for reads that run; reads that begin meanwhile wait
    for it and open again.  So ``reopen`` and ``release`` of a subclass are called while nothing else is.

    It returns what was stored or raises ContainerDamaged, also where a file was removed, cut or replaced since it was
    opened: a piece that is missing is damage and never read as zeros, and what was put at its path later is not read.
    """

    layout: Layout
    _guard: Guard

    def __new__(cls, *_arguments: object, **_options: object) -> Self:
        reader = super().__new__(cls)
        reader._guard = Guard()
        return reader

    def __len__(self) -> int:
        return self.layout.count

    @property
    @abstractmethod
    def is_open(self) -> bool:
        """Whether it has open files, in this process and for this thread."""

    @abstractmethod
    def reopen(self) -> None:
        """Open again what was released.  Raises ContainerDamaged where it has another layout than before."""

    @abstractmethod
    def release(self) -> None:
        """Release files and maps.  May be called twice, and in a child made by fork at any moment."""

    @abstractmethod
    def read_labels(self) -> NDArray[np.int64]:
        """All labels, ``(count,)`` int64, loaded on first use without touching a pixel."""

    def read_range(self, start: int, stop: int, out: NDArray[np.uint8] | None) -> Records:
        """Records ``start`` to ``stop``, ``0 <= start <= stop <= count``; overridden where neighbours are faster."""
        import numpy as np

        return self.read_rows(np.arange(start, stop), out)

    @abstractmethod
    def read_rows(self, rows: NDArray[np.int64], out: NDArray[np.uint8] | None) -> Records:
        """The records of ``rows``, each valid and non-negative, in that order; repeats are allowed."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """All labels, as ``read_labels`` returns them."""
        self._enter()
        try:
            return self.read_labels()
        finally:
            self._guard.leave()

    def close(self) -> None:
        """Release files and maps.  May be called twice; reading opens again, and refuses another layout as damage."""
        self._guard.enter_alone()
        try:
            self.release()
        finally:
            self._guard.leave_alone()

    def read(self, key: slice | NDArray[np.int64], out: NDArray[np.uint8] | None = None) -> Records:
        """Read a slice or a 1-D array of row numbers: negative ones count from the end, any order, also repeated.

        ``out``, ``(n, record_bytes)`` uint8 and C-contiguous, is filled where ``layout.record_bytes`` is not None, and
        ``Records.data`` is then a view of it.  Raises IndexError for a row outside the container, TypeError for another
        kind of key.
        """
        import numpy as np

        rows, start, stop = None, 0, 0
        if not isinstance(key, slice):
            rows = _rows_of(key, len(self))
        else:
            start, stop, step = key.indices(len(self))
            if step != 1:
                rows = np.arange(start, stop, step, dtype=np.int64)
        self._enter()
        try:
            return self.read_range(start, max(start, stop), out) if rows is None else self.read_rows(rows, out)
        finally:
            self._guard.leave()

    def _enter(self) -> None:
        """Share the guard with other reads, of an open reader."""
        guard = self._guard
        guard.enter()
        if self.is_open and not guard.torn:
            return
        guard.leave()
        guard.enter_alone()
        opened = False
        try:
            if guard.torn:
                self.release()
                guard.torn = False
            if not self.is_open:
                self.reopen()
            opened = True
        finally:
            guard.leave_alone(to_read=opened)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _rows_of(key: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """``key`` without negative numbers.  Raises IndexError and TypeError as ``Reader.read`` does."""
    import numpy as np

    rows = np.asarray(key)
    if rows.ndim != 1 or (rows.dtype.kind not in "iu" and rows.size):
        raise TypeError(f"a reader takes a slice or a 1-D array of integers, not {type(key).__name__}")
    rows = np.ascontiguousarray(rows, np.int64)
    if len(rows) and rows.view(np.uint64).max() >= count:
        outside = (rows < -count) | (rows >= count)
        if outside.any():
            raise IndexError(f"row {rows[outside][0]} is outside a container of {count:,} images")
        rows = np.where(rows < 0, rows + count, rows)
    return rows


class Codec(ABC):
    """How images become bytes and back, a batch at a time.  ``options`` are as in ``Backend``."""

    name: ClassVar[str]
    lossless: ClassVar[bool] = True
    suffix: ClassVar[str]
    """Ending of a file that holds one record, with its dot; empty where records differ in it."""
    fills_room: ClassVar[bool] = False
    """Whether images of mixed size are decoded into a flat ``out``: to get memory for each batch can take as long."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def suffix_of(self, record: NDArray[np.uint8]) -> str:
        """Ending of a file that holds this record."""
        return self.suffix

    @abstractmethod
    def encode(self, images: Images) -> Records:
        """Encode a batch.  The labels are passed through."""

    @abstractmethod
    def decode(self, records: Records, layout: Layout, out: NDArray[np.uint8] | None = None) -> Images:
        """Decode a batch.  Raises ContainerDamaged where a record is no image of the layout's shape.

        Parameters
        ----------
        out
            ``(n, height, width, channels)`` uint8 where ``layout.image_shape`` is not None: the pixels are
            written into it and ``Images.pixels`` is that array.  Where it is None, and for a codec that
            ``fills_room``, ``(bytes,)`` uint8: images are views of it if it has room for all.  It may be the
            memory of raw ``records``, which then stay where they are, but must not overlap them otherwise.
        """
