from __future__ import annotations

import pytest

from tui.steps import Situation, View, acts, next_step

READY = Situation(View.PLAN, has_dataset=True)
RUNNING = Situation(View.CHART, has_dataset=True, has_run=True, busy=True)
DONE = Situation(View.CHART, has_dataset=True, has_run=True)


@pytest.mark.parametrize(
    ("now", "word"),
    [
        (Situation(View.START), "choose"),
        (READY, "run"),
        (DONE, "read times"),
        (Situation(View.CHART, True, True, aspect="read"), "disk usage"),
        (Situation(View.DISK, True, True, aspect="read"), "trade-off"),
        (Situation(View.TRADE_OFF, True, True, aspect="read"), "store times"),
        (Situation(View.CHART, True, True, aspects=("store",)), "disk usage"),
        (Situation(View.ERROR), "back"),
        (Situation(View.ERROR, has_dataset=True), "plan"),
    ],
)
def test_enter_does_the_next_sensible_thing(now: Situation, word: str) -> None:
    step = next_step(now)
    assert step is not None
    assert step.word == word


def test_while_a_run_goes_on_there_is_nothing_to_enter() -> None:
    assert next_step(RUNNING) is None


@pytest.mark.parametrize("action", ["pick", "codec", "add", "remove", "where", "plan", "run", "copy"])
def test_a_plan_is_edited_only_while_nothing_runs(action: str) -> None:
    assert acts(action, READY)
    assert acts(action, DONE)
    assert not acts(action, RUNNING)
    assert not acts(action, Situation(View.START))


@pytest.mark.parametrize("action", ["aspect", "numbers", "disk", "verdict", "scale"])
def test_results_are_looked_at_once_there_is_a_run(action: str) -> None:
    assert acts(action, RUNNING)
    assert acts(action, DONE)
    assert not acts(action, READY)


def test_a_run_is_stopped_once() -> None:
    assert acts("stop", RUNNING)
    assert not acts("stop", DONE)
    assert not acts("stop", Situation(View.CHART, True, True, busy=True, stopping=True))


def test_a_saved_result_is_looked_at_and_not_edited() -> None:
    saved = Situation(View.CHART, True, True, saved=True)
    assert [acts(action, saved) for action in ("run", "pick", "plan", "aspect", "export", "copy", "open")] == [
        *[False] * 3,
        *[True] * 4,
    ]


def test_the_articles_experiment_is_offered_where_it_can_be_made() -> None:
    assert acts("article", Situation(View.PLAN, has_dataset=True, pictures=True))
    assert not acts("article", READY)
