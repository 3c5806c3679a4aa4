"""The raw samples as CSV: one row a trial that counts."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from backends.bench.measurement import Measurement
from tui.text import safe_text

if TYPE_CHECKING:
    from backends.jobs.result import Result


def to_csv(result: Result) -> str:
    """The columns are the fields of a measurement; each phase has one of its own, ``phases.write``."""
    shown = [asdict(one) for one in result.measurements if one.shown]
    phases = dict.fromkeys(f"phases.{phase}" for one in shown for phase in one["phases"])
    columns = [one.name for one in fields(Measurement) if one.name not in ("phases", "shown")]
    text = io.StringIO()
    writer = csv.DictWriter(text, [*columns, *phases], extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for one in shown:
        own = {f"phases.{phase}": seconds for phase, seconds in one["phases"].items()}
        writer.writerow({name: _safe(value) for name, value in (one | own).items()})
    return text.getvalue()


def _safe(value: Any) -> Any:
    """No text that a spreadsheet would take for a formula, or a terminal for a command."""
    if not isinstance(value, str):
        return value
    return ("'" if value[:1] in ("=", "+", "-", "@") else "") + safe_text(value, limit=1000)
