"""What lies at a destination: nothing, a conversion that may go on, a store, or what others have put there."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path

from backends.errors import StoreBusy, UsageError
from backends.stores.finish import clean
from backends.stores.journal import Journal, Lock
from backends.stores.manifest import Manifest, is_store, read_manifest
from backends.stores.plan import Request, StorePlan
from backends.stores.preflight import check_target


@dataclass(frozen=True, slots=True)
class Part:
    """A share of the shards: every ``of``-th, from ``number``, which begins at 1."""

    number: int = 1
    of: int = 1

    def has(self, shard: int) -> bool:
        return shard % self.of == self.number - 1

    def file(self, name: str, suffix: str = "") -> str:
        """The name of this part's own file in the store."""
        return f"{name}{suffix}" if self.of == 1 else f"{name}-{self.number}-of-{self.of}{suffix}"


def parse_part(text: str) -> Part:
    """The part that is written ``3/16``.  Raises UsageError."""
    match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(f"{text!r} is no part: write 3/16 for the third of sixteen.")
    return Part(int(match[1]), int(match[2]))


def is_begun(request: Request, destination: Path) -> bool:
    """Whether an unfinished conversion lies at ``destination``.

    Raises UsageError or NotAllowed where no store can or must be made there, UsageError where one is.
    """
    check_target(request, destination)
    if is_store(destination):
        raise UsageError(f"{destination} is a store already: name another folder, or remove it.")
    _check_foreign(destination)
    return bool(journals_of(destination))


def missing_shards(destination: Path) -> tuple[StorePlan, list[str]]:
    """The plan that the journals have, and the paths of the shards that no journal calls durable."""
    journals = list(map(Journal, journals_of(destination)))
    plans = [journal.plan for journal in journals if journal.plan is not None]
    if not plans:
        raise UsageError(f"the journals in {destination} hold no plan: remove that folder, and convert again.")
    sealed = {number for journal in journals for number in journal.sealed}
    return plans[0], [shard.path for shard in plans[0].shards if shard.number not in sealed]


def journals_of(destination: Path) -> list[Path]:
    """The journals of the parts that have begun."""
    return sorted(destination.glob("journal*.jsonl"))


def tidy(destination: Path) -> None:
    """Remove what a conversion has left that ended between its manifest and the end of its cleaning."""
    if journals_of(destination) or (destination / "lock").exists():
        with contextlib.suppress(StoreBusy), Lock(destination / "lock").acquire():
            clean(destination)


def complete_store(request: Request, destination: Path) -> Manifest:
    """The manifest of a store that is there already, if it is the one that is asked for."""
    manifest = read_manifest(destination)
    if manifest.request != request:
        difference = _difference(manifest.request, request)
        raise UsageError(f"{destination} is a store of other options ({difference}): name another folder.")
    return manifest


def _check_foreign(destination: Path) -> None:
    """Raise UsageError where the folder has something in it that no conversion has put there."""
    if destination.exists() and not destination.is_dir():
        raise UsageError(f"{destination} is a file: name a folder that does not exist yet.")
    names = sorted(path.name for path in destination.iterdir()) if destination.exists() else []
    if names and not journals_of(destination) and not all(name.startswith(("lock", ".journal")) for name in names):
        raise UsageError(f"{destination} has other files in it ({names[0]}): name a folder that does not exist yet.")


def plan_to_go_on(plan: StorePlan, destination: Path, part: Part) -> StorePlan:
    """The plan that a conversion was begun with, or this one where it begins now.

    Raises UsageError where that is of another request, dataset or number of parts.
    """
    for path in journals_of(destination):
        if _of(path) != part.of:
            raise UsageError(f"{destination} was begun in {_of(path)} parts and not in {part.of}: keep their number.")
        before = Journal(path).plan
        if before is not None:
            if before.request != plan.request:
                difference = _difference(before.request, plan.request)
                raise UsageError(
                    f"{destination} was begun with other options ({difference}): use those, or convert anew."
                )
            if before.fingerprints != plan.fingerprints:
                raise UsageError(
                    f"the dataset has changed since {destination} was begun: convert it into a new folder."
                )
            plan = before
    return plan


def _of(journal: Path) -> int:
    """The number of parts that a journal is one of."""
    match = re.search(r"-of-(\d+)", journal.name)
    return int(match[1]) if match else 1


def _difference(before: Request, now: Request) -> str:
    """What differs between two requests, in words."""
    names = [name for name in Request.__struct_fields__ if getattr(before, name) != getattr(now, name)]
    return ", ".join(f"{name.replace('_', ' ')} {getattr(before, name)}, now {getattr(now, name)}" for name in names)
