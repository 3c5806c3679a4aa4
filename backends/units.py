"""Numbers as text for people: three significant digits, and the unit; and lists of words."""

from __future__ import annotations

from collections.abc import Sequence

MINUTE = 60.0


def seconds(value: float | None) -> str:
    """A duration: ``0.00123`` is ``1.23 ms``, a minute or more is ``2:05``, None is a dot."""
    if value is None:
        return "·"
    if value >= MINUTE:
        return clock(value)
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= factor * 0.9995 or unit == "µs":
            return f"{_three(value / factor)} {unit}"
    return "0 s"


def span(interval: tuple[float, float] | None) -> str:
    """A range of durations, with the unit once if both have the same: ``16.9 to 17.4 ms``; None is a dot."""
    if interval is None:
        return "·"
    low, high = map(seconds, interval)
    same = low.rpartition(" ")[2] == high.rpartition(" ")[2]
    return f"{low.rpartition(' ')[0] if same and ' ' in low else low} to {high}"


def size(value: float | None) -> str:
    """Bytes in binary units: ``153600000`` is ``146 MiB``; None is a dot."""
    if value is None:
        return "·"
    for power, unit in ((4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
        if value >= 0.9995 * 1024**power:
            return f"{_three(value / 1024**power)} {unit}"
    return f"{value:.0f} B"


def count(value: int) -> str:
    """A number of images for column heads and axes: ``50000`` is ``50k``, ``1281167`` is ``1.28M``."""
    for factor, unit in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if value >= factor:
            return f"{value / factor:.4g}{unit}" if value % (factor // 100) == 0 else f"{value / factor:.3g}{unit}"
    return str(value)


def count_of(number: int, noun: str) -> str:
    """A number with its noun: ``1 shard``, ``2,000 images``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listing(words: Sequence[str]) -> str:
    """``store, read and shuffled``."""
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)


def rate(images_per_second: float | None) -> str:
    """Images per second: ``24390.2`` is ``24.4k img/s``, None is a dot."""
    if images_per_second is None:
        return "·"
    for factor, unit in ((1e6, "M"), (1e3, "k")):
        if images_per_second >= factor:
            return f"{_three(images_per_second / factor)}{unit} img/s"
    return f"{images_per_second:.0f} img/s"


def ratio(value: float) -> str:
    """A ratio: ``5.2345`` is ``5.2x``."""
    return f"{value:.1f}x" if value < 9.95 else f"{value:.0f}x"


def clock(value: float) -> str:
    """A duration as on a clock: ``125.3`` is ``2:05``, an hour or more is ``1:02:05``."""
    whole = int(value)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def capacity(value: float) -> str:
    """The size of a disk, in decimal units: ``1.2 TB``."""
    for power, unit in ((4, "TB"), (3, "GB"), (2, "MB"), (1, "kB")):
        if value >= 0.9995 * 1000**power:
            scaled = value / 1000**power
            return f"{scaled:.1f} {unit}" if scaled < 9.95 else f"{scaled:,.0f} {unit}"
    return f"{value:.0f} B"


def about(seconds_taken: float) -> str:
    """A rough duration: ``5 s``, ``20 s``, ``12 min``, ``3.5 h``."""
    if seconds_taken < 90:
        return f"{max(1, round(seconds_taken)) if seconds_taken < 9.5 else 5 * round(seconds_taken / 5)} s"
    return f"{seconds_taken / 60:.0f} min" if seconds_taken < 5400 else f"{seconds_taken / 3600:.1f} h"


def spoken(seconds_taken: float) -> str:
    """A duration in the unit that suits it: ``3.2 ms``, ``41 s``, ``6.2 min``, ``3.5 h``, ``2.1 days``."""
    for factor, unit, below in ((1, "s", 100), (60, "min", 100), (3600, "h", 48)):
        if seconds_taken < 0.9995:
            return seconds(seconds_taken)
        if seconds_taken < below * factor:
            scaled = seconds_taken / factor
            return f"{scaled:.1f} {unit}" if scaled < 9.95 else f"{scaled:.0f} {unit}"
    return f"{seconds_taken / 86400:,.1f} days"


def ago(seconds_since: float) -> str:
    """How long ago: ``just now``, ``5 min ago``, ``3 h ago``, ``2 days ago``."""
    for factor, unit, below in ((60, "min", 3600), (3600, "h", 86400)):
        if seconds_since < 60:
            return "just now"
        if seconds_since < below:
            return f"{int(seconds_since // factor)} {unit} ago"
    days = int(seconds_since // 86400)
    return f"{days} days ago" if days > 1 else "1 day ago"


def shape(image_shape: tuple[int, int, int] | None) -> str:
    """The shape of all images: ``(32, 32, 3)`` is ``32×32×3``, None is ``mixed sizes``."""
    return "×".join(str(side) for side in image_shape) if image_shape else "mixed sizes"


def _three(value: float) -> str:
    if value >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"
