"""Wall and processor time by phase; what runs outside a phase is not counted."""

from __future__ import annotations

import gc
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Stopwatch:
    """Attributes: ``seconds`` and ``cpu_seconds`` by phase name, in the order in which the phases were met."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.cpu_seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count what the block takes towards ``name``.  Garbage is not collected meanwhile."""
        collecting = gc.isenabled()
        gc.disable()
        cpu = time.process_time()
        start = time.perf_counter()
        try:
            yield
        finally:
            took = time.perf_counter() - start
            used = time.process_time() - cpu
            self.seconds[name] = self.seconds.get(name, 0.0) + took
            self.cpu_seconds[name] = self.cpu_seconds.get(name, 0.0) + used
            if collecting:
                gc.enable()
