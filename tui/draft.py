"""The plan that the user is making: the rows of the table and its other fields.  Each change makes a new draft."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from backends.bench.configuration import Configuration
from backends.bench.measurement import Aspect
from backends.bench.plan import Plan, article_plan, check_plan, default_sizes
from backends.bench.schedule import aspects, configurations
from backends.errors import UsageError
from backends.registry import backend_entries, codec_entries

if TYPE_CHECKING:
    from backends.datasets.base import DatasetFacts
    from backends.registry import BackendEntry, CodecEntry

TICKED = ("files", "lmdb", "hdf5")
"""Backends that a first run compares."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    configuration: Configuration
    ticked: bool = True


_BASE = Plan("", (), (10, 100, 1000))


@dataclass(frozen=True, slots=True)
class Draft:
    """What the user has chosen so far: the rows of the table, and in ``base`` everything else of the plan.

    The facts of the dataset decide the default codecs; without a dataset these are those of arrays.
    """

    rows: tuple[Row, ...]
    base: Plan = _BASE
    facts: DatasetFacts | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)  # of the plan, as the user has set them

    @property
    def configurations(self) -> tuple[Configuration, ...]:
        return tuple(row.configuration for row in self.rows)

    @property
    def sketch(self) -> Plan:
        """The plan as far as it is known, unchecked."""
        return replace(self.base, configurations=tuple(row.configuration for row in self.rows if row.ticked))

    @property
    def aspects(self) -> tuple[Aspect, ...]:
        """What the plan looks at; of the installed backends where none is ticked."""
        return aspects(self.sketch) or aspects(replace(self.base, configurations=self.configurations))

    @property
    def known(self) -> tuple[Configuration, ...]:
        """Every configuration of the table, then the references that the plan adds."""
        return tuple(dict.fromkeys((*self.configurations, *configurations(self.sketch))))

    def plan(self, dataset: str) -> Plan:
        """The plan of the ticked rows.  Raises UsageError with a sentence where nothing is ticked."""
        if not self.sketch.configurations:
            raise UsageError("nothing is ticked: space ticks a configuration.")
        return check_plan(replace(self.sketch, dataset=dataset), self.facts)

    def changed(self, **fields: Any) -> Draft:
        """The draft with other fields of the plan; no preset any more."""
        return replace(self, base=replace(self.base, **{"preset": "", "first": False, **fields}))

    def moved(self, work_dir: str | None) -> Draft:
        """The draft of a run that writes elsewhere."""
        return replace(self, base=replace(self.base, work_dir=work_dir))

    def for_dataset(self, facts: DatasetFacts) -> Draft:
        """The draft for a dataset: rows that have their backend's default codec take the one for this dataset."""
        rows: dict[Configuration, Row] = {}
        for row in self.rows:
            name = self._fitting(row.configuration, facts)
            rows.setdefault(name, Row(name, row.ticked))
        other = self.facts is None or (self.facts.path, self.facts.how) != (facts.path, facts.how)
        sizes = default_sizes(facts.images, self.defaults.get("sizes"))
        draft = self.changed(split=None, sizes=sizes, **asdict(facts.how)) if other else self
        return replace(draft, rows=tuple(rows.values()), facts=facts)

    def _fitting(self, configuration: Configuration, facts: DatasetFacts) -> Configuration:
        bare = configuration.backend + (f"@{configuration.folder}" if configuration.folder else "")
        default = Configuration.for_dataset(bare, facts)
        if configuration == Configuration.for_dataset(bare, self.facts):
            return default
        return configuration if _possible(configuration, facts) else default

    def following(self, plan: Plan) -> Draft:
        """The draft that shows ``plan``: the same rows where they hold all of it, ticked as it is."""
        if not set(plan.configurations) <= set(self.configurations):
            return replace(self, rows=draft_of(plan).rows, base=plan)
        rows = tuple(Row(row.configuration, row.configuration in plan.configurations) for row in self.rows)
        return replace(self, rows=rows, base=plan)

    def article(self) -> Draft:
        """The draft of the article's experiment.  Raises UsageError where the dataset is not one for it."""
        if self.facts is None:
            raise UsageError("there is no dataset yet: o opens one.")
        plan = article_plan(self.facts.path, self.facts)
        plan = replace(plan, work_dir=self.base.work_dir, **asdict(self.facts.how))
        return replace(self, rows=draft_of(plan).rows, base=plan)

    def toggle(self, index: int) -> Draft:
        """Tick or untick one row."""
        row = self.rows[index]
        return self._with(index, replace(row, ticked=not row.ticked))

    def with_codec(self, index: int, codec: str) -> Draft:
        """Give one row another codec."""
        row = self.rows[index]
        return self._with(index, Row(row.configuration.with_codec(codec), row.ticked))

    def add(self, text: str) -> Draft:
        """Add a configuration below those that are ticked.  Raises UsageError where it cannot be meant or is there."""
        name = Configuration.for_dataset(text.strip(), self.facts)
        if name in self.configurations:
            raise UsageError(f"{name} is in the table already.")
        below = max((number for number, row in enumerate(self.rows, 1) if row.ticked), default=0)
        return replace(self.changed(), rows=(*self.rows[:below], Row(name), *self.rows[below:]))

    def remove(self, index: int) -> Draft:
        """Take one row out; the last one stays."""
        if len(self.rows) == 1:
            raise UsageError("the last configuration stays: + adds another one first.")
        return replace(self.changed(), rows=(*self.rows[:index], *self.rows[index + 1 :]))

    def _with(self, index: int, row: Row) -> Draft:
        return replace(self.changed(), rows=(*self.rows[:index], row, *self.rows[index + 1 :]))


def codecs_for(backend: BackendEntry, facts: DatasetFacts | None) -> tuple[CodecEntry, ...]:
    """The codecs in which a backend can keep the images of a dataset."""
    known = codec_entries()
    names = (name for name in backend.codecs or known if _possible(Configuration(f"{backend.name}+{name}"), facts))
    return tuple(known[name] for name in names)


def _possible(configuration: Configuration, facts: DatasetFacts | None) -> bool:
    try:
        configuration.check(facts)
    except UsageError:
        return False
    return True


def first_draft(defaults: Mapping[str, Any] | None = None) -> Draft:
    """Every backend with its own codec; files, LMDB and HDF5 ticked."""
    rows = tuple(Row(Configuration(name), name in TICKED) for name in backend_entries())
    return Draft(rows, replace(_BASE, **defaults or {}), defaults=defaults or {})


def draft_of(plan: Plan) -> Draft:
    """The draft that makes ``plan`` again."""
    return Draft(tuple(Row(name) for name in plan.configurations), plan)
