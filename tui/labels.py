"""Names, colours, markers and titles: what a configuration and an operation are called on the screen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from textual.content import Content

from backends import units
from backends.bench.configuration import Configuration
from backends.bench.measurement import COLD, EPOCH, ONE_IMAGE, STORES, Aspect
from backends.bench.schedule import trials
from backends.errors import ImgstoreError
from tui.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from backends.analysis.prediction import Use
    from backends.bench.budget import Estimate
    from backends.bench.plan import Plan
    from backends.datasets.base import DatasetFacts
    from backends.runs.run import Run
    from tui.messages import Place


_TIMES = {
    "store": "Storage time",
    "read": "Read time",
    "shuffled": "Shuffled read time",
    "epoch": "Training epoch",
    "store-one": "Time to store one image",
    "read-one": "Time to read one image",
}
SHOWN_FAILURES = 6
"""Trials that are named for one reason."""
_VERBS = {
    "shuffled": "read shuffled",
    "epoch": "load an epoch",
    "store-one": "store one image",
    "read-one": "read one image",
}


def title(use: Use) -> str:
    """``Read``, ``Shuffled cold``, ``Read one image``."""
    if not isinstance(use, Aspect):
        from backends.analysis.prediction import DURABLE  # not before the first paint: it imports statistics

        if use == DURABLE:
            return "Store with sync"
    return use.capitalize().replace("-one", " one image")


def time_title(aspect: Aspect, log: bool) -> str:
    """``Log read time, from disk``."""
    name = _TIMES[aspect.operation]
    curves = not is_one_image(aspect) and aspect.operation != EPOCH
    name = f"Log {name[0].lower()}{name[1:]}" if log and curves else name
    return name + (", from disk" if aspect.cache == COLD else "")


def seconds_title(aspect: Aspect) -> str:
    """``Seconds to read shuffled``: the words beside the axis."""
    return f"Seconds to {_VERBS.get(aspect.operation, aspect.operation)}"


def is_one_image(aspect: Aspect) -> bool:
    """Whether its count is 1."""
    return aspect.operation in ONE_IMAGE


def counts(aspect: Aspect, sizes: tuple[int, ...]) -> tuple[int, ...]:
    """The numbers of images that an aspect has figures for."""
    return (1,) if is_one_image(aspect) else sizes[-1:] if aspect.operation == EPOCH else sizes


def cache_words(aspect: Aspect, run: Run | None) -> str:
    """Where the reads of an aspect find their bytes: ``from the page cache``, ``from disk, 0 % resident``."""
    if aspect.operation not in STORES:
        return ""
    if aspect.cache != COLD:
        return "from the page cache"
    figures = run.figures.values() if run else ()
    resident = [figure.resident for figure in figures if figure.aspect is aspect and figure.resident is not None]
    return "from disk" + (f", {max(resident) * 100:.0f} % resident" if resident else "")


@dataclass(frozen=True, slots=True)
class Series:
    """How one configuration is shown.

    ``codec`` has its options, ``name`` tells it apart from the others, ``mark`` is one cell wide, ``role`` is the theme
    variable of its colour, such as ``$series-lmdb``.
    """

    configuration: Configuration
    codec: str
    name: str
    mark: str
    role: str

    @property
    def text(self) -> str:
        """Its whole name, as reports have it."""
        name = self.configuration
        return name.backend if name.is_reference else f"{name}{'' if name.is_lossless else ' (lossy)'}"


Known = dict[Configuration, Series]
"""The series of every configuration of the table."""


def identify(configurations: Iterable[Configuration]) -> Known:
    """The series of each configuration, in their order."""
    ordered = list(dict.fromkeys(configurations))
    known: Known = {}
    for configuration in ordered:
        entry = configuration.entry
        same = [other for other in ordered if other.backend == entry.name]
        number = same.index(configuration)
        known[configuration] = Series(
            configuration=configuration,
            codec="" if entry.reference else _codec(configuration),
            name=_name(configuration, same),
            mark=entry.marks[number] if number < len(entry.marks) else str((number + 1) % 10),
            role="$dim" if entry.reference else f"$series-{entry.name}",
        )
    return known


def _codec(configuration: Configuration) -> str:
    return configuration.codec_text + ("" if configuration.is_lossless else " (lossy)")


def _name(configuration: Configuration, same: list[Configuration]) -> str:
    """The shortest name that tells a configuration apart from the others of its backend."""
    if len(same) == 1:
        return configuration.backend
    if len({other.method for other in same}) == len(same):
        return configuration.method
    if len({other.folder for other in same}) == len(same) and configuration.folder:
        return f"{configuration.backend}@{configuration.folder}"
    return configuration


_GERUNDS = {
    "store": "storing",
    "read": "reading",
    "shuffled": "reading",
    "epoch": "loading epochs of",
    "store-one": "storing single images",
    "read-one": "reading single images",
}


def method_sentence(plan: Plan) -> str:
    """How a plan is measured: where, in what order, and what becomes of the files."""
    where = "in the worker thread of this screen" if plan.in_thread else "in a process of its own"
    return (
        f"Every measurement runs {where}, in random order, after one warm-up. Every image is then compared with the "
        "original, which is not timed. The temporary files are removed at the end."
    )


def plan_sentence(plan: Plan, estimate: Estimate, place: Place) -> str:
    """``Times storing and reading 10 to 2,000 images. About 25 s. Temporary files: up to 60 MB in /scratch/me.``"""
    verbs = units.listing(list(dict.fromkeys(_GERUNDS[name] for name in plan.operations)))
    sizes = " to ".join(f"{size:,}" for size in dict.fromkeys((plan.sizes[0], plan.sizes[-1])))
    images = f"{sizes} image{'' if sizes == '1' else 's'}"
    return (
        f"Times {verbs} {images}. About {units.about(estimate.seconds)}. "
        f"Temporary files: up to {units.capacity(estimate.bytes_at_most)} in {place.folder}."
    )


def dataset_name(facts: DatasetFacts) -> str:
    """What people call a dataset: ``CIFAR-10``, or the folder's name where its kind says no more than what it is."""
    folder = PurePath(facts.path).name
    return folder if folder and facts.kind[:1].islower() else facts.kind


def describe_plan(plan: Plan) -> str:
    """``3 configurations, 4 sizes, 3 repeats, store and read: 78 trials``."""
    parts = (
        units.count_of(len(plan.configurations), "configuration"),
        units.count_of(len(plan.sizes), "size"),
        units.count_of(plan.repeats, "repeat"),
        units.listing(plan.operations),
    )
    return f"{', '.join(parts)}: {units.count_of(len(trials(plan)), 'trial')}"


def describe_row(configuration: Configuration, aspect: Aspect, run: Run | None) -> tuple[str, bool]:
    """A sentence about one row, and whether it is a failure; nothing while a run goes well."""
    if run is not None:
        for (name, failed_aspect, count), failed in run.failed_cells.items():
            if (name, failed_aspect) == (configuration, aspect) and failed.message:
                return f"{failed.outcome} at {count:,}: {failed.message}", True
        return "", False
    entry = configuration.entry
    if entry.reference:
        return f"{entry.title}: a reference, to compare with", False
    folder = f", in {configuration.folder}" if configuration.folder else ""
    missing = f"; {entry.missing}" if entry.missing else ""
    return f"{entry.title}, {configuration.codec_entry.description}{folder}{missing}", bool(missing)


def failure_rows(run: Run, log: str) -> Iterator[Content]:
    """What failed in a run, where, why and what can be done: equal reasons once, with how often, then the log's end."""
    if run.message:
        yield Content.styled(f"The run failed: {safe_text(run.message, 1000)}", "$error")
        yield Content("")
    trials: dict[tuple[Configuration, str, str], list[str]] = {}
    for one in run.failures:
        what = (
            f"{title(one.aspect).lower()} of {one.count:,}, {'warm-up' if not one.repeat else f'repeat {one.repeat}'}"
        )
        trials.setdefault((one.configuration, one.outcome, one.message), []).append(what)
    for (configuration, outcome, message), where in trials.items():
        times = f"  {len(where)} times" if len(where) > 1 else ""
        yield Content.assemble((safe_text(configuration), "bold"), f"  {outcome}{times}")
        yield Content.styled(safe_text(message, 1000), "$error")
        yield Content.styled("; ".join(where[:SHOWN_FAILURES]) + ("; …" if len(where) > SHOWN_FAILURES else ""), "$dim")
        yield Content("")
    yield Content.assemble(("It wrote in  ", "$dim"), safe_text(", ".join(run.work) or "no folder yet"))
    yield Content.assemble(("Its log says ", "$dim"), safe_text(log, 2000) or "nothing")
    yield Content("")
    yield Content.assemble(
        "Mend the cause, then ", ("r", "bold"), " runs the plan again; ", ("space", "bold"), " leaves a row out."
    )


def sentence_of(error: BaseException | None) -> str:
    """The sentence to show for an error."""
    if isinstance(error, ImgstoreError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.strerror or error}: {error.filename}" if error.filename else str(error)
    return f"unexpected {type(error).__name__}: {error}"
