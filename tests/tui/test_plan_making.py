"""Drafts, series, form fields and sentences: the values behind the screen."""

from __future__ import annotations

import shlex

import pytest

from backends.bench.plan import Plan
from backends.datasets import open_dataset
from backends.errors import UsageError
from backends.registry import codec_entries
from tests.tui.conftest import fixed_weight
from tests.tui.recorded import facts, plan_of
from tui.cli import cli
from tui.draft import Draft, Row, draft_of, first_draft
from tui.labels import describe_plan, describe_row, identify, plan_sentence, sentence_of
from tui.plan_fields import command_line, parse_operations, parse_repeats, parse_sizes


def test_a_first_draft_compares_files_lmdb_and_hdf5() -> None:
    assert first_draft().plan("sample").configurations == ("files+png", "lmdb+raw", "hdf5+raw")


def test_unticked_rows_are_not_in_the_plan() -> None:
    assert first_draft().toggle(1).plan("sample").configurations == ("files+png", "hdf5+raw")


def test_nothing_ticked_is_refused_with_a_sentence() -> None:
    with pytest.raises(UsageError, match="space ticks"):
        first_draft().toggle(0).toggle(1).toggle(2).plan("sample")


def test_next_codec_goes_round_and_passes_over_what_is_in_the_table() -> None:
    draft, codecs = Draft((Row("lmdb+raw"),)), list(codec_entries())
    seen = []
    for _ in codecs:
        seen.append(draft.configurations[0])
        draft = draft.next_codec(0)
    assert seen == [f"lmdb+{codec}" for codec in codecs]
    assert draft == Draft((Row("lmdb+raw"),))
    with pytest.raises(UsageError, match="every codec"):
        Draft(tuple(Row(name) for name in seen)).next_codec(0)


def test_added_configurations_are_canonical_and_none_is_there_twice() -> None:
    draft = first_draft().add(" lmdb+png:level=1 ")
    assert Row("lmdb+png") in draft.rows
    assert [row.ticked for row in draft.rows[:5]] == [True, True, True, True, False]
    for text in ("lmdb+png", "nothing", "lmdb@"):
        with pytest.raises(UsageError):
            draft.add(text)


def test_the_last_row_stays() -> None:
    with pytest.raises(UsageError, match="last"):
        Draft((Row("lmdb+raw"),)).remove(0)


def test_a_draft_follows_a_plan_without_losing_rows_it_has() -> None:
    draft = draft_of(plan_of())
    assert draft.following(plan_of("lmdb")).configurations == draft.configurations
    assert [row.ticked for row in draft.following(plan_of("lmdb")).rows] == [False, True, False]
    other = plan_of("hdf5+png")
    assert draft.following(other) == draft_of(other)


PLANS = (
    Plan("/a b/c", ("lmdb+raw",), (10, 100), ("store",), 2, 7, work_dir="/d e"),
    Plan(
        "sample",
        ("files+png", "lmdb+png:level=2@/x"),
        (10, 1000),
        ("store", "shuffled", "store-one", "read-one"),
        repeats=5,
        batch=64,
        caches=("warm", "cold"),
        limits=True,
        budget=300.0,
        predict=1_281_167,
        split="test",
        memory=1 << 30,
    ),
    Plan("sample", ("hdf5+raw",), (10,), ("read",), in_thread=True),
)


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.dataset + plan.configurations[0])
def test_the_command_line_makes_the_same_plan(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    words = shlex.split(command_line(plan))
    assert words[:2] == ["imgstore-tui", "bench"]
    assert planned(words[2:], monkeypatch) == plan
    assert command_line(draft_of(plan).plan(plan.dataset)) == command_line(plan)


def test_the_command_line_of_the_article_makes_its_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_dataset("sample") as dataset:
        plan = Draft((), facts=dataset.facts()).article().plan("sample")
    assert (plan.preset, plan.first) == ("article", True)
    assert planned(shlex.split(command_line(plan))[2:], monkeypatch) == plan


def planned(words: list[str], monkeypatch: pytest.MonkeyPatch) -> Plan:
    """The plan that the command runs for these words."""
    found: list[Plan] = []

    def take(plan: Plan, *_: object) -> int:
        found.append(plan)
        return 0

    monkeypatch.setattr("tui.commands.open_dataset", lambda *_: open_dataset("sample", None))
    monkeypatch.setattr("tui.commands.bench", take)
    cli.commands["bench"].main(words, standalone_mode=False)
    return found[0]


def test_a_changed_draft_is_no_preset_any_more() -> None:
    draft = draft_of(Plan("sample", ("lmdb+raw", "hdf5+raw"), (10,), first=True, preset="article", seed=3))
    assert draft.plan("sample").preset == "article"
    assert draft.moved("/x").plan("sample").preset == "article"
    for changed in (draft.toggle(0), draft.next_codec(0), draft.remove(0), draft.changed(repeats=4)):
        base = changed.plan("sample")
        assert (base.preset, base.first, base.seed) == ("", False, 3)


def test_references_are_grey_and_have_marks_of_their_own() -> None:
    plan = plan_of("article-png", "lmdb", limits=True)
    found = identify(draft_of(plan).known)
    assert [one.backend for one in found.values() if one.reference] == ["article-png", "limit"]
    assert {one.role for one in found.values() if one.reference} == {"$dim"}
    assert len({one.mark for one in found.values()}) == 3
    assert not any(identify([name])[name].reference for name in first_draft().configurations)


def test_each_configuration_has_a_mark_of_its_own() -> None:
    names = (
        "files+png",
        "lmdb+raw",
        "lmdb+png",
        "lmdb+png:level=2",
        "lmdb+png:level=3",
        "hdf5+raw",
        "hdf5+raw@/b",
        "?",
    )
    found = identify(names)
    assert len({one.mark for one in found.values()}) == len(names)
    assert len({one.name for one in found.values()}) == len(names)


def test_a_second_configuration_of_a_backend_has_the_hollow_mark_and_the_same_colour() -> None:
    first, second = identify(("lmdb+raw", "lmdb+png")).values()
    assert (first.mark, second.mark) == ("▲", "△")
    assert first.role == second.role


@pytest.mark.parametrize(
    ("text", "sizes"), [("10", (10,)), ("10, 100,1k", (10, 100, 1000)), ("2M 5;5", (5, 2_000_000)), (" 007 ", (7,))]
)
def test_sizes_are_read_as_people_write_them(text: str, sizes: tuple[int, ...]) -> None:
    assert parse_sizes(text) == sizes


@pytest.mark.parametrize("text", ["", " ", "abc", "0", "-1", "1.5", "10,x", "1kk", "9" * 400, "٣", "1e3"])
def test_wrong_sizes_are_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(UsageError, match=r"\w+.*\."):
        parse_sizes(text)


@pytest.mark.parametrize("text", ["", "0", "100001", "three", "-1", "9" * 400])
def test_wrong_repeats_are_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(UsageError, match=r"\w+.*\."):
        parse_repeats(text)


def test_operations_are_put_in_their_order() -> None:
    assert parse_operations("READ, store read") == ("store", "read")
    for text in ("", "fly", "store, fly"):
        with pytest.raises(UsageError):
            parse_operations(text)


def test_the_sentence_of_a_plan_says_everything_before_the_first_byte_is_written() -> None:
    plan = plan_of(sizes=(10, 2000))
    assert plan_sentence(plan, *fixed_weight(plan, facts())) == (
        "Times storing and reading 10 to 2,000 images as PNG files, LMDB and HDF5. About 25 s. "
        "Temporary files: up to 60 MB in /scratch/me."
    )
    assert describe_plan(plan) == "3 configurations, 2 sizes, 3 repeats, store and read: 42 trials"


def test_a_row_is_described_by_what_it_is() -> None:
    assert describe_row("lmdb+raw", "store", None) == ("LMDB environment, pixels as they are", False)
    assert describe_row("nothing", "store", None)[1]


@pytest.mark.parametrize(
    "error", [UsageError("a sentence."), FileNotFoundError(2, "No such file", "/x"), KeyError("x"), None]
)
def test_every_error_has_a_sentence(error: BaseException | None) -> None:
    assert sentence_of(error)


@pytest.mark.usefixtures("plugin")
def test_broken_plugin_is_an_unticked_row_that_says_why() -> None:
    (row,) = (row for row in first_draft().rows if row.configuration == "unimportable+raw")
    assert not row.ticked
    sentence, failure = describe_row(row.configuration, "store", None)
    assert failure
    assert "cannot be imported (RuntimeError: this plug-in is for another version)" in sentence
    assert sentence.endswith("pip uninstall imgstore-test-plugin")
