from __future__ import annotations

from functools import reduce

import pytest

from backends.jobs import events
from tests.tui.recorded import plan_of, run_events, through_the_file
from tui.numbers import HEAD, number_rows
from tui.run_state import RunState, fold
from tui.series import identify
from tui.verdict import disk_standings, headline, standings, verdict_rows

PLAN = plan_of(sizes=(10, 1000))
KNOWN = identify(PLAN.configurations)


def after(last: type[events.Event], nth: int = 1, fails: str = "") -> RunState:
    """The state after the ``nth`` event of a kind."""
    state = RunState(PLAN)
    for event in through_the_file(run_events(PLAN, fails=fails)):
        state = fold(state, event)
        nth -= isinstance(event, last)
        if nth == 0:
            return state
    raise AssertionError(f"no such {last.__name__}")


@pytest.mark.parametrize(
    ("last", "phase", "alive"),
    [
        (events.RunStarted, "starting", True),
        (events.Staging, "staging", True),
        (events.TrialStarted, "running", True),
        (events.TrialFinished, "running", True),
        (events.RunFinished, "finished", False),
    ],
)
def test_the_phase_follows_the_events(last: type[events.Event], phase: str, alive: bool) -> None:
    state = after(last)
    assert (state.phase, state.alive) == (phase, alive)


def test_a_finished_run_has_every_figure_and_no_warm_up() -> None:
    state = after(events.RunFinished)
    assert len(state.figures) == 3 * 3 * 2, "store, read, and read by the plain library"
    assert {one.repeats for one in state.figures.values()} == {3}
    assert (state.ended, state.repeats_done()) == (state.trials, 3)


def test_progress_of_another_trial_changes_nothing() -> None:
    state = after(events.TrialStarted)
    assert fold(state, events.Progress(state.now, 999, 5, 10)).done == 0


def test_a_job_that_dies_keeps_its_figures_and_says_why() -> None:
    state = fold(after(events.TrialFinished, 20), events.JobFailed(0.0, "killed."))
    assert (state.phase, state.message, state.alive) == ("failed", "killed.", False)
    assert state.figures


def test_cancelling_is_not_finishing() -> None:
    state = fold(after(events.TrialFinished, 20), events.RunFinished(0.0, "cancelled", 1.0))
    assert state.phase == "cancelled"
    assert headline(state, KNOWN, 100).plain.startswith("stopped")


def test_standings_are_ordered_medians_with_ratios_to_the_least() -> None:
    found = standings(after(events.RunFinished), KNOWN, "store", 1000)
    assert [one.series.name for one in found] == ["hdf5", "lmdb", "files"]
    assert found[0].ratio == 1
    assert found[2].ratio == pytest.approx(found[2].value / found[0].value)


def test_the_verdict_says_nothing_that_the_table_does_not() -> None:
    early = "\n".join(row.plain for row in verdict_rows(after(events.TrialFinished, 9), KNOWN, 36))
    assert "too early to tell" in early
    assert "waiting" in early
    late = "\n".join(row.plain for row in verdict_rows(after(events.RunFinished), KNOWN, 36))
    assert "median of 3" in late
    assert "waiting" not in late


def test_the_headline_fits_and_names_every_configuration_where_it_can() -> None:
    state = after(events.RunFinished)
    for room in (20, 50, 77, 120):
        assert headline(state, KNOWN, room).cell_length <= room
    assert all(name in headline(state, KNOWN, 77).plain for name in ("files", "lmdb", "hdf5", "median of 3"))


def test_disk_is_compared_at_the_largest_size_only() -> None:
    assert not disk_standings(after(events.TrialFinished, 10), KNOWN)
    assert len(disk_standings(after(events.RunFinished), KNOWN)) == 3


def test_the_numbers_have_a_row_for_each_configuration_and_size() -> None:
    rows = number_rows(after(events.RunFinished, fails="lmdb+raw store 10"), KNOWN, "store")
    assert len(rows) == 6
    assert all(len(row) == len(HEAD) for row in rows)
    assert [row for row in rows if "! failed" in row] == [row for row in rows if row[:2] == ("▲ lmdb+raw", "10")]


def test_folding_a_thousand_events_again_gives_the_same_figures() -> None:
    told = list(run_events(PLAN))
    first, second = (reduce(fold, told, RunState(PLAN)) for _ in range(2))
    assert first.figures == second.figures
