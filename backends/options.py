"""The options of every backend and codec, as data: configuration strings, forms and manifests are made of it.

Imports no storage library, so that listing what there is costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from backends.errors import UsageError


@dataclass(frozen=True, slots=True)
class Options:
    """No options.  Subclasses add integer fields, each checked in ``__post_init__``."""


@dataclass(frozen=True, slots=True)
class PngOptions(Options):
    """Attributes: ``level``, the effort of deflate, 0 (none, the pixels as they are) to 12 (smallest)."""

    level: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.level <= 12:
            raise UsageError(f"png:level={self.level} is not there: choose 0 (no compression) to 12 (smallest).")


@dataclass(frozen=True, slots=True)
class JpegOptions(Options):
    """Attributes: ``quality``, 1 (smallest) to 100 (best), as libjpeg counts it."""

    quality: int = 90

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 100:
            raise UsageError(f"jpeg:quality={self.quality} is not there: choose a quality from 1 to 100.")


def parse_options(kind: type[Options], text: str, owner: str) -> Options:
    """Make options of ``text``, such as ``level=1,other=2``.

    Raises
    ------
    UsageError
        An option that ``owner`` does not have, or a value that is not a whole number.
    """
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
    return kind(**values)


def format_options(options: Options) -> str:
    """The options that differ from their defaults, as ``parse_options`` reads them."""
    changed = ((f.name, getattr(options, f.name), f.default) for f in fields(options))
    return ",".join(f"{name}={value}" for name, value, default in changed if value != default)
