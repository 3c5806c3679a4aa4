"""Who is who: each configuration has one name, one colour and one mark, everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backends.bench.configuration import Configuration, is_lossless, is_reference
from backends.errors import UsageError

_MARKS = {
    "files": "●○◉",
    "lmdb": "▲△◭",
    "hdf5": "■□▣",
    "npy": "◆◇◈",
    "sqlite": "✚✛✜",
    "tar": "✖✕✗",
}
_OTHER_MARKS = "★☆✪"
_REFERENCE_MARKS = {"limit": "▼", "article-png": "▷", "article-lmdb": "▽", "article-hdf5": "◁"}

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Series:
    """How one configuration is shown.

    Attributes
    ----------
    codec
        With its options, and a word where it loses something.
    name
        The backend, with the codec, options or folder where the backend alone does not tell it apart.
    mark
        One cell wide; solid for the first configuration of a backend, hollow for its second.
    role
        The theme variable of its colour, such as ``$series-lmdb``; references are grey.
    reference
        It is there to compare with, and never to keep images in.
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
"""The series of every configuration of the table: the one answer to who is who, wherever something is shown."""


def identify(configurations: Iterable[str]) -> Known:
    """The series of each configuration, in their order.  What does not parse keeps its text as its name."""
    parsed = {text: _parse(text) for text in configurations}
    found: dict[str, Series] = {}
    seen: dict[str, int] = {}
    for text, one in parsed.items():
        backend = one.backend if one else text
        nth = seen[backend] = seen.get(backend, 0) + 1
        reference = one is not None and is_reference(text)
        marks = _REFERENCE_MARKS.get(backend, "") if reference else _MARKS.get(backend, _OTHER_MARKS)
        found[text] = Series(
            configuration=text,
            backend=backend,
            codec=_codec(one) if one and not reference else "",
            folder=one.folder if one else None,
            name=backend if one is None or _alone(one, parsed.values()) else _telling(one, parsed.values()),
            mark=marks[nth - 1] if nth <= len(marks) else str(nth % 10),
            role="$dim" if reference else f"$series-{backend}" if backend in _MARKS else "$series-other",
            reference=reference,
        )
    return found


def _codec(one: Configuration) -> str:
    return one.method.partition("+")[2] + ("" if is_lossless(str(one)) else " (lossy)")


def _parse(text: str) -> Configuration | None:
    try:
        return Configuration.parse(text)
    except UsageError:
        return None


def _alone(one: Configuration, others: Iterable[Configuration | None]) -> bool:
    return sum(other is not None and other.backend == one.backend for other in others) == 1


def _telling(one: Configuration, others: Iterable[Configuration | None]) -> str:
    same = [other for other in others if other is not None and other.backend == one.backend]
    if len({other.method for other in same}) == len(same):
        return one.method
    if len({other.folder for other in same}) == len(same) and one.folder:
        return f"{one.backend}@{one.folder}"
    return str(one)
