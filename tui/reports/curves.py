"""From figures to curves, and how each configuration is called and marked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.bench.configuration import is_lossless, is_reference
from backends.bench.schedule import configurations
from tui.reports.model import Curve, Name, Point
from tui.series import identify

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backends.bench.prediction import Predicted
    from backends.bench.summary import Figure
    from backends.jobs.result import Result

Names = dict[str, Name]
Cells = dict[tuple[str, int], "Figure"]


def names_of(result: Result) -> Names:
    """How each configuration is shown, with references in grey."""
    found = {}
    for text, series in identify(configurations(result.plan)).items():
        reference = is_reference(text)
        shown = text.removesuffix("+raw") if reference else text + ("" if is_lossless(text) else " (lossy)")
        found[text] = Name(shown, series.mark, "reference" if reference else series.role.removeprefix("$series-"))
    return found


def figures_at(result: Result, aspect: str) -> Cells:
    """The figures of an aspect by configuration and count."""
    return {(one.configuration, one.count): one for one in result.figures if one.aspect == aspect}


def curve(name: Name, figures: Iterable[Figure], predicted: Predicted | None = None, images: int = 0) -> Curve:
    """The medians with their intervals, and what is predicted for ``images``."""
    points = [
        Point(one.count, one.seconds, one.seconds_low, one.seconds_high)
        for one in sorted(figures, key=lambda one: one.count) if one.seconds
    ]  # fmt: skip
    ahead = predicted is not None and points and images > points[-1].x and not predicted.unsure
    return Curve(
        name,
        tuple(points),
        Point(images, predicted.value, predicted.low, predicted.high) if predicted is not None and ahead else None,
    )
