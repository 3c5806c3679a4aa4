"""From values to cells: linear and logarithmic scales, and ticks in words that people say."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from backends import units

Tick = tuple[int, str]
"""Where it stands, in cells from the axis, and what it says."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values to cells: ``position`` is in cells from the axis, as a fraction of a cell."""

    low: float
    per_unit: float
    log: bool

    def position(self, value: float) -> float:
        place = math.log10(value) if self.log else value
        return (place - self.low) * self.per_unit + 0.5


def span(values: list[int], cells: int, log: bool) -> Scale:
    places = [math.log10(value) if log else float(value) for value in values]
    low, high = (min(places), max(places)) if log else (0.0, max(places))
    if high <= low:
        low, high = low - 0.5, high + 0.5
    return Scale(low, (cells - 1) / (high - low), log)


def value_ticks(values: list[float], cells: int, log: bool, decade: Callable[[int], str]) -> tuple[Scale, list[Tick]]:
    """The scale of the values and its ticks as (row from the bottom, text); ``decade`` says a power of ten."""
    if not values:
        return Scale(0.0, 1.0, log), []
    return _decades(values, cells, decade) if log else _steps(max(values), cells)


def _decades(seconds: list[float], cells: int, decade: Callable[[int], str]) -> tuple[Scale, list[Tick]]:
    """Whole rows a decade where that fills most of the height, and two decades' ticks at least."""
    low, high = math.log10(min(seconds)), math.log10(max(seconds))
    if math.floor(high) - math.ceil(low) < 1:
        low, high = float(math.floor(low)), max(float(math.ceil(high)), math.floor(low) + 1.0)
    fitting = (cells - 1) / (high - low)
    scale = Scale(low, fitting, True)
    for rows in range(math.floor(fitting), 0, -1):
        above = (math.ceil(low) - low) * rows
        shifted = Scale(low - (math.ceil(above) - above) / rows, float(rows), True)
        if shifted.position(10.0**high) < cells:
            if rows * (high - low) >= 0.6 * (cells - 1):
                scale = shifted
            break
    step = max(1, math.ceil(1 / scale.per_unit))
    powers = range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1, step)
    ticks = [(int(scale.position(10.0**power) + 1e-9), decade(power)) for power in powers]
    above = math.ceil(high + 1e-9) if step == 1 else 0
    if above and int(scale.position(10.0**above) + 1e-9) < cells:
        ticks.append((int(scale.position(10.0**above) + 1e-9), decade(above)))
    return scale, [(row, text) for row, text in ticks if 0 <= row < cells]


def seconds_of_ten(power: int) -> str:
    """``10 ms`` for -2."""
    for base, unit in ((0, "s"), (-3, "ms"), (-6, "µs"), (-9, "ns")):
        if power >= base:
            return f"{10 ** (power - base):,} {unit}"
    return f"1e{power} s"


def rate_of_ten(power: int) -> str:
    """``10k`` for 4."""
    return units.count(10**power) if power >= 0 else f"{10.0**power:g}"


def _steps(highest: float, cells: int) -> tuple[Scale, list[Tick]]:
    """From zero in steps of 1, 2 or 5, all in one unit."""
    wanted = max(1, min(6, (cells - 1) // 2))
    step = _nice(highest / wanted)
    unit, factor = next(((u, f) for u, f in (("s", 1.0), ("ms", 1e3)) if highest * f >= 1), ("µs", 1e6))
    top = math.ceil(highest / step - 1e-9) * step
    scale = Scale(0.0, (cells - 1) / top, False)
    number = math.ceil(top / step - 1e-9)
    texts = ["0", *(f"{i * step * factor:,.10g} {unit}" for i in range(1, number + 1))]
    return scale, [(int(scale.position(i * step)), text) for i, text in enumerate(texts)]


def _nice(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * 0.999)


def count_ticks(counts: list[int], scale: Scale, log: bool) -> list[Tick]:
    """Ticks of the sizes as (column, text); on a linear axis, even steps."""
    if log:
        return [(int(scale.position(count)), units.count(count)) for count in counts]
    step = max(1, round(_nice(max(counts) / 5)))
    return [(int(scale.position(value)), units.count(value)) for value in range(0, max(counts) + 1, step)]


def size_ticks(sizes: list[float], cells: int) -> tuple[Scale, list[Tick]]:
    """A logarithmic scale of bytes, with some room around them, and round ticks as (column, text)."""
    low, high = min(sizes) / 1.2, max(sizes) * 1.2
    scale = Scale(math.log10(low), (cells - 1) / math.log10(high / low), True)
    steps = (1, 2, 5, 10, 20, 50, 100, 200, 500)
    round_ones = [float(step * 1024**power) for power in range(6) for step in steps]
    ticks = [value for value in round_ones if low <= value <= high]
    if len(ticks) < 2:
        ticks = [min(sizes), max(sizes)]
    return scale, [(int(scale.position(value)), units.size(value)) for value in dict.fromkeys(ticks)]
