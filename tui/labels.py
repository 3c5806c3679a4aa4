"""Names, colours, markers and titles: what a configuration and an operation are called on the screen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from backends import units
from backends.bench.measurement import COLD, ONE_IMAGE, STORES
from backends.bench.plan import Configuration, is_lossless
from backends.bench.schedule import trials
from backends.errors import ImgstoreError, UsageError
from backends.registry import BackendEntry, backend_entry, codec_entry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backends.bench.budget import Estimate
    from backends.bench.plan import Plan
    from backends.datasets.base import DatasetFacts
    from backends.runs.run import Run
    from tui.messages import Place


_TIMES = {
    "store": "Storage time",
    "read": "Read time",
    "shuffled": "Shuffled read time",
    "store-one": "Time to store one image",
    "read-one": "Time to read one image",
}
_VERBS = {"shuffled": "read shuffled"}


def title(aspect: str) -> str:
    """``Read``, ``Shuffled cold``, ``Read one image``."""
    operation, cold = _parts(aspect)
    return operation.capitalize().replace("-one", " one image") + (" cold" if cold else "")


def time_title(aspect: str, log: bool) -> str:
    """``Log read time, from disk``."""
    operation, cold = _parts(aspect)
    name = _TIMES[operation]
    name = f"Log {name[0].lower()}{name[1:]}" if log and operation not in ONE_IMAGE else name
    return name + (", from disk" if cold else "")


def seconds_title(aspect: str) -> str:
    """``Seconds to read shuffled``: the word beside the axis."""
    operation = _parts(aspect)[0]
    return f"Seconds to {_VERBS.get(operation, operation)}"


def is_one_image(aspect: str) -> bool:
    """Whether its count is 1."""
    return _parts(aspect)[0] in ONE_IMAGE


def counts(aspect: str, sizes: tuple[int, ...]) -> tuple[int, ...]:
    """The numbers of images that an aspect has figures for."""
    return (1,) if is_one_image(aspect) else sizes


def cache_words(aspect: str, run: Run | None) -> str:
    """Where the reads of an aspect find their bytes: ``from the page cache``, ``from disk, 0 % resident``."""
    operation, cold = _parts(aspect)
    if operation not in STORES:
        return ""
    if not cold:
        return "from the page cache"
    figures = run.figures.values() if run else ()
    resident = [one.resident for one in figures if one.aspect == aspect and one.resident is not None]
    return "from disk" + (f", {max(resident) * 100:.0f} % resident" if resident else "")


def _parts(aspect: str) -> tuple[str, bool]:
    operation, _, cache = aspect.partition(" ")
    return operation, cache == COLD


_UNKNOWN = BackendEntry("other", "", "", "")
_REFERENCE_MARKS = {"limit": "▼", "article-png": "▷", "article-lmdb": "▽", "article-hdf5": "◁"}


@dataclass(frozen=True, slots=True)
class Series:
    """How one configuration is shown.

    ``codec`` has its options, ``name`` tells it apart from the others, ``mark`` is one cell wide, ``role`` is the theme
    variable of its colour, such as ``$series-lmdb``.
    """

    configuration: str
    backend: str
    codec: str
    folder: str | None
    name: str
    mark: str
    role: str
    reference: bool = False


Known = dict[str, Series]
"""The series of every configuration of the table, by its text."""


def identify(configurations: Iterable[str]) -> Known:
    """The series of each configuration, in their order.  What does not parse keeps its text as its name."""
    parsed = {text: _parse(text) for text in configurations}
    known: Known = {}
    for text, configuration in parsed.items():
        backend = configuration.backend if configuration else text
        entry = backend_entry(backend) if configuration else _UNKNOWN
        same = [other for other in parsed.values() if other and other.backend == backend]
        number = sum(series.backend == backend for series in known.values())
        marks = _REFERENCE_MARKS.get(backend, "") if entry.reference else entry.marks
        known[text] = Series(
            configuration=text,
            backend=backend,
            codec=_codec(configuration) if configuration and not entry.reference else "",
            folder=configuration.folder if configuration else None,
            name=_name(configuration, same) if configuration else text,
            mark=marks[number] if number < len(marks) else str((number + 1) % 10),
            role="$dim" if entry.reference else f"$series-{entry.name}",
            reference=entry.reference,
        )
    return known


def _parse(text: str) -> Configuration | None:
    try:
        return Configuration.parse(text)
    except UsageError:
        return None


def _codec(configuration: Configuration) -> str:
    return configuration.method.partition("+")[2] + ("" if is_lossless(str(configuration)) else " (lossy)")


def _name(configuration: Configuration, same: list[Configuration]) -> str:
    """The shortest name that tells a configuration apart from the others of its backend."""
    if len(same) == 1:
        return configuration.backend
    if len({other.method for other in same}) == len(same):
        return configuration.method
    if len({other.folder for other in same}) == len(same) and configuration.folder:
        return f"{configuration.backend}@{configuration.folder}"
    return str(configuration)


_GERUNDS = {
    "store": "storing",
    "read": "reading",
    "shuffled": "reading",
    "store-one": "storing single images",
    "read-one": "reading single images",
}
_NAMES = {"lmdb": "LMDB", "hdf5": "HDF5", "npy": "NumPy arrays", "sqlite": "SQLite", "tar": "tar files"}
_FILES = {"png": "PNG files", "jpeg": "JPEG files", "source": "the original files", "raw": "files of raw pixels"}
MOST_NAMED = 5
"""Configurations that a plan names; more are counted."""


def method_sentence(plan: Plan) -> str:
    """How a plan is measured: where, in what order, and what becomes of the files."""
    where = "in the worker thread of this screen" if plan.in_thread else "in a process of its own"
    return (
        f"Every measurement runs {where}, in random order, after one warm-up. Every image is then compared with the "
        "original, which is not timed. The temporary files are removed at the end."
    )


def plan_sentence(plan: Plan, estimate: Estimate, place: Place) -> str:
    """``Times storing and reading 10 to 2,000 images as PNG files, LMDB and HDF5. About 25 s. Temporary files: ...``"""
    verbs = _listing(list(dict.fromkeys(_GERUNDS.get(name, name) for name in plan.operations)))
    images = " to ".join(f"{size:,}" for size in dict.fromkeys((plan.sizes[0], plan.sizes[-1])))
    images += " image" if images == "1" else " images"
    if len(plan.configurations) > MOST_NAMED:
        formats = f"in {len(plan.configurations)} configurations"
    else:
        formats = "as " + _listing([spoken_name(text) for text in plan.configurations])
    return (
        f"Times {verbs} {images} {formats}. About {units.about(estimate.seconds)}. "
        f"Temporary files: up to {units.capacity(estimate.bytes_at_most)} in {place.folder}."
    )


def spoken_name(configuration: str) -> str:
    """A configuration in words: ``PNG files``, ``LMDB``, ``HDF5+png in /scratch``."""
    parsed = Configuration.parse(configuration)
    backend, codec = parsed.backend, parsed.codec
    if backend == "files":
        name = _FILES.get(codec, f"{codec} files")
    else:
        usual = codec in (backend_entry(backend).codec, "source")
        name = _NAMES.get(backend, backend) + ("" if usual else f"+{codec}")
    return name + (f" in {parsed.folder}" if parsed.folder else "")


def dataset_name(facts: DatasetFacts) -> str:
    """What people call a dataset: ``CIFAR-10``, or the folder's name where its kind says no more than what it is."""
    folder = PurePath(facts.path).name
    return folder if folder and facts.kind[:1].islower() else facts.kind


def describe_plan(plan: Plan) -> str:
    """``3 configurations, 4 sizes, 3 repeats, store and read: 78 trials``."""
    parts = (
        _number(len(plan.configurations), "configuration"),
        _number(len(plan.sizes), "size"),
        _number(plan.repeats, "repeat"),
        _listing(list(plan.operations)),
    )
    return f"{', '.join(parts)}: {_number(len(trials(plan)), 'trial')}"


def _listing(words: list[str]) -> str:
    """``store, read and shuffled``."""
    return " and ".join((", ".join(words[:-1]), words[-1])) if len(words) > 1 else words[0]


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def describe_row(configuration: str, aspect: str, run: Run | None) -> tuple[str, bool]:
    """A sentence about one row, and whether it is a failure; nothing while a run goes well."""
    if run is not None:
        for (name, operation, count), failed in run.failed_cells.items():
            if (name, operation) == (configuration, aspect) and failed.message:
                return f"{failed.outcome} at {count:,}: {failed.message}", True
        return "", False
    try:
        parsed = Configuration.parse(configuration)
    except UsageError as error:
        return str(error), True
    entry = backend_entry(parsed.backend)
    if entry.reference:
        return f"{entry.title}: a reference, to compare with", False
    folder = f", in {parsed.folder}" if parsed.folder else ""
    missing = f"; {entry.missing}" if entry.missing else ""
    return f"{entry.title}, {codec_entry(parsed.codec).title}{folder}{missing}", bool(missing)


def sentence_of(error: BaseException | None) -> str:
    """The sentence to show for an error."""
    if isinstance(error, ImgstoreError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.strerror or error}: {error.filename}" if error.filename else str(error)
    return f"unexpected {type(error).__name__}: {error}"
