"""The situation that decides which keys act, from what the workbench holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.steps import Situation, View

if TYPE_CHECKING:
    from backends.datasets.facts import DatasetFacts
    from tui.draft import Draft
    from tui.run_state import RunState


def situation(
    view: View, facts: DatasetFacts | None, run: RunState | None, draft: Draft, aspect: str, *, opening: bool
) -> Situation:
    """The situation of a workbench with ``run`` on show, or none."""
    return Situation(
        view=view,
        has_dataset=facts is not None,
        has_run=run is not None,
        busy=run is not None and run.alive,
        opening=opening,
        stopping=run is not None and run.stopping,
        saved=run is not None and run.saved,
        pictures=facts is not None and facts.kind.startswith("CIFAR"),
        aspect=aspect,
        aspects=run.aspects if run else draft.aspects,
    )
