from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from functools import reduce
from pathlib import Path

import pytest
from textual.content import Content

from backends.bench.measurement import Aspect
from backends.bench.plan import Plan
from backends.runs import events
from backends.runs.folder import new_folder
from backends.runs.history import list_runs
from backends.runs.run import Run
from tests.tui.recorded import plan_of, run_events, through_the_file
from tui.chart_data import Bars
from tui.draft import draft_of
from tui.keys import View
from tui.labels import Known, identify
from tui.reports import render
from tui.run_charts import chart_of, disk_standings, standings
from tui.tables import HEAD, epoch_rows, number_rows, result_text
from tui.verdict import chart_in_words, verdict_rows

PLAN = plan_of(sizes=(10, 1000))
KNOWN = identify(PLAN.configurations)


def after(last: type[events.Event], nth: int = 1, fails: str = "", plan: Plan = PLAN) -> Run:
    """The state after the ``nth`` event of a kind."""
    state = Run(plan)
    for event in through_the_file(run_events(plan, fails=fails)):
        state = state.after(event)
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
    assert len(state.figures) == 3 * 2 * 2, "store and read"
    assert {one.repeats for one in state.figures.values()} == {3}
    assert (state.ended, state.repeats_done()) == (state.trials, 3)


def test_progress_of_another_trial_changes_nothing() -> None:
    state = after(events.TrialStarted)
    assert state.after(events.Progress(state.now, 999, 5, 10)).done == 0


def test_what_is_not_finished_keeps_its_figures_and_says_why() -> None:
    for end, why in (
        (events.JobFailed(0.0, "killed."), ("failed", "killed.")),
        (events.RunFinished(0.0, "cancelled", 1.0), ("cancelled", "")),
    ):
        state = after(events.TrialFinished, 20).after(end)
        assert (state.phase, state.message, state.alive, bool(state.figures)) == (*why, False, True)


def test_standings_are_ordered_medians_with_ratios_to_the_least() -> None:
    found = standings(after(events.RunFinished), KNOWN, Aspect.STORE, 1000)
    assert [one.series.name for one in found] == ["hdf5", "lmdb", "files"]
    assert found[0].ratio == 1
    assert found[2].ratio == pytest.approx(found[2].value / found[0].value)


def test_the_verdict_says_nothing_that_the_table_does_not() -> None:
    early = "\n".join(row.plain for row in verdict_rows(after(events.TrialFinished, 9), KNOWN, 36))
    assert "too early to tell" in early
    assert "waiting" in early
    late = "\n".join(row.plain for row in verdict_rows(after(events.RunFinished), KNOWN, 36))
    assert "medians of 3 repeats" in late
    assert "waiting" not in late


def in_words(state: Run, known: Known, aspect: Aspect, room: int) -> str:
    """The status line beside the chart of an aspect."""
    return chart_in_words(state, known, View.CHART, aspect, room).plain


def test_the_status_line_fits_and_names_all_where_it_can() -> None:
    state = after(events.RunFinished)
    for room in (20, 50, 77, 120):
        assert len(in_words(state, KNOWN, Aspect.READ, room)) <= room
    assert all(name in in_words(state, KNOWN, Aspect.READ, 77) for name in ("files", "lmdb", "hdf5"))


EVERYTHING = plan_of(
    *("files", "lmdb", "hdf5"), sizes=(10, 1000), operations=("store", "read", "shuffled"), caches=("warm", "cold"),
    limits=True,
)  # fmt: skip
ALL_KNOWN = identify(draft_of(EVERYTHING).known)


def done(plan: Plan, end: type[events.Event] = events.RunFinished) -> Run:
    """The state after all events of a run, or up to the first of ``end``."""
    return after(end, plan=plan)


def texts(rows: list[Content]) -> str:
    return "\n".join(row.plain for row in rows)


def test_panel_status_line_and_full_view_agree_on_ties_and_ratios() -> None:
    """lmdb and hdf5 tie in shuffled reads; hdf5 takes less space, so it is recommended and stands first everywhere."""
    state = done(EVERYTHING)
    line = in_words(state, ALL_KNOWN, Aspect.SHUFFLED, 120)
    assert line == "Shuffled 1,000: ■ hdf5 2.45 ms = ▲ lmdb 2.42 ms > ● files 37.5 ms (16x)"
    for width, names in (
        (36, ["  ■ hdf5  ", "= ▲ lmdb  ", "> ● files "]),
        (76, ["  ■ hdf5+r", "= ▲ lmdb+r", "> ● files+"]),
    ):
        full = texts(verdict_rows(state, ALL_KNOWN, width)).splitlines()
        place = next(place for place, row in enumerate(full) if row.startswith("Shuffled, 1,000"))
        assert [row[:10] for row in full[place + 1 : place + 4]] == names
        assert " 16x" in full[place + 3]


def test_every_place_names_the_same_recommendation(tmp_path: Path) -> None:
    """Status line, panel, full view, payback, JSON, HTML, Markdown, the text of ``bench`` and the history's list."""
    plan = plan_of("files", "lmdb", "hdf5", operations=("store", "read", "shuffled"), repeats=5)
    known, state = identify(draft_of(plan).known), done(plan)
    result = Run(plan).after(*run_events(plan))
    assert result is not None
    best = result.verdict.recommended
    assert best == "hdf5+raw"
    first = f"Keep these images in {best}: "
    assert state.verdict == result.verdict
    assert in_words(state, known, Aspect.SHUFFLED, 120).startswith("Shuffled 50,000: ■ hdf5 ")
    for rows in (verdict_rows(state, known, 36), verdict_rows(state, known, 120)):
        assert texts(rows).startswith(first)
    line = f"shuffled 50,000: {best} "
    assert json.loads(render(result, "json"))["verdict"]["recommended"] == best
    assert result.verdict.conversion is not None
    for text in (result_text(result), unescaped(render(result, "html")), unescaped(render(result, "markdown"))):
        assert first in text
        assert line in text
    folder = new_folder(tmp_path, plan)
    (folder / "events.jsonl").write_bytes(b"".join(map(events.encode_event, run_events(plan))))
    assert list_runs(tmp_path)[0].headline.startswith(line)


def unescaped(text: str) -> str:
    """HTML and Markdown as they are read."""
    return html.unescape(re.sub(r"\\\\(.)", r"\\1", text))


@pytest.mark.parametrize("repeats", [1, 3])
def test_nobody_leads_before_all_repeats_are_in(repeats: int) -> None:
    state = done(replace(EVERYTHING, repeats=repeats))
    early = replace(state, end=None, removing=False)
    for one in (early, replace(state, end=events.RunFinished(state.now, "cancelled", 1.0))):
        assert one.verdict.recommended is None
        assert {rank.outcome for each in one.verdict.rankings for rank in each.ranks} == {"", "undecided"}
        assert "Keep " not in texts([*verdict_rows(one, ALL_KNOWN, 36), *verdict_rows(one, ALL_KNOWN, 76)])
    assert (state.verdict.recommended is not None) is (repeats == 3)


def test_verdict_is_final_while_files_are_removed() -> None:
    state = done(EVERYTHING, events.Removing)
    assert state.phase == "removing"
    assert state.alive
    assert state.verdict == done(EVERYTHING).verdict
    assert state.verdict.recommended == "hdf5+raw"
    stopped = replace(state, measurements=state.measurements[:-1])
    assert stopped.verdict.recommended is None, "it was stopped before its last trial"


def test_sample_names_the_key_that_opens_a_folder() -> None:
    state = done(replace(EVERYTHING, dataset="sample"))
    assert texts(verdict_rows(state, ALL_KNOWN, 36)).startswith(
        "Demo data: too small to decide. Press o to measure your own images."
    )
    few = done(replace(EVERYTHING, repeats=1))
    assert texts(verdict_rows(few, ALL_KNOWN, 76)).startswith("Too small to decide: add images or repeats (p).")


def test_a_ranking_at_a_smaller_size_says_so() -> None:
    early = texts(verdict_rows(after(events.TrialFinished, 25), KNOWN, 36))
    assert re.search(r"Store, 10 images\n  ▲ lmdb +899 µs *\n\? ■ hdf5 +1.18 ms +1.3x\n", early)
    failed = after(events.RunFinished, fails="lmdb+raw store 1000")
    assert "waiting" not in texts(verdict_rows(failed, KNOWN, 36))


def test_repeats_are_counted_in_every_cell_of_the_plan() -> None:
    state = done(EVERYTHING)
    assert state.repeats_done() == 3
    assert replace(state, measurements=state.measurements[:-1]).repeats_done() == 2


def test_a_verdict_is_worked_out_once_for_the_same_figures() -> None:
    state = done(EVERYTHING)
    verdict = state.verdict
    assert state.after(events.Progress(state.now + 1, 0, 1, 2)).verdict is verdict
    assert state.after(events.RunFinished(state.now, "cancelled", 1.0)).verdict != verdict


def test_while_a_run_goes_on_the_verdict_rests_on_the_blocks_that_ended() -> None:
    early, later = after(events.TrialFinished, 26), after(events.TrialFinished, 27)
    assert early.block == later.block == (1000, 1)
    assert early.verdict == later.verdict
    assert early.verdict is not None
    assert {one.count for one in early.verdict.rankings if one.use == "store"} == {10}


def test_disk_is_compared_at_the_largest_size_only() -> None:
    assert not disk_standings(after(events.TrialFinished, 10), KNOWN)
    assert len(disk_standings(after(events.RunFinished), KNOWN)) == 3


def test_the_numbers_have_a_row_for_each_configuration_and_size() -> None:
    rows = number_rows(after(events.RunFinished, fails="lmdb+raw store 10"), KNOWN, Aspect.STORE)
    assert len(rows) == 6
    assert all(len(row) == len(HEAD) for row in rows)
    assert [row for row in rows if "! failed" in row] == [row for row in rows if row[:2] == ("▲ lmdb+raw", "10")]


def test_events_one_by_one_and_at_once_give_the_same_figures() -> None:
    told = list(run_events(PLAN))
    one_by_one = reduce(Run.after, told, Run(PLAN))
    assert one_by_one.figures == Run(PLAN).after(*told).figures


def test_epochs_are_shown_by_the_number_of_workers() -> None:
    plan = plan_of("npy", "hdf5", sizes=(10, 1000), operations=("epoch",))
    run = reduce(Run.after, run_events(plan), Run(plan))
    chart = chart_of(View.CHART, run, identify(plan.configurations), Aspect.EPOCH, True, None)
    assert isinstance(chart, Bars)
    assert [bar.name for bar in chart.bars] == ["hdf5, 0", "hdf5, 2", "npy, 0", "npy, 2"]
    assert chart.bars[1].value == 2 * chart.bars[0].value
    printed = result_text(run)
    for row in epoch_rows(run, Aspect.EPOCH):
        assert re.search(r"\s+".join(map(re.escape, row)), printed)
