"""The plan being made: rows, codecs, command line, names and marks, and the sentences about them."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest

from backends.bench.configuration import Configuration, configurations_of
from backends.bench.measurement import Aspect
from backends.bench.plan import Plan
from backends.datasets import open_dataset
from backends.datasets.base import AS_FOUND
from backends.errors import UsageError
from backends.registry import backend_entry
from tests.tui.conftest import fixed_weight
from tests.tui.recorded import facts, plan_of
from tui.cli import cli
from tui.commands import survey
from tui.draft import Draft, Row, codecs_for, draft_of, first_draft
from tui.labels import describe_plan, describe_row, identify, plan_sentence
from tui.plan_fields import command_line, parse


def test_first_draft_compares_files_lmdb_and_hdf5() -> None:
    draft = first_draft()
    assert draft.plan("sample").configurations == ("files+png", "lmdb+raw", "hdf5+raw")
    assert draft.toggle(1).plan("sample").configurations == ("files+png", "hdf5+raw")
    with pytest.raises(UsageError, match="space ticks"):
        draft.toggle(0).toggle(1).toggle(2).plan("sample")


@pytest.mark.parametrize(
    ("backend", "shape", "codecs"),
    [
        ("lmdb", (32, 32, 3), ["raw", "png", "jpeg"]),
        ("lmdb", (32, 32, 4), ["raw", "png"]),
        ("parquet", (32, 32, 3), ["png"]),
    ],
)
def test_codecs_are_those_that_keep_the_images(backend: str, shape: tuple[int, int, int], codecs: list[str]) -> None:
    draft = first_draft().for_dataset(replace(facts(), image_shape=shape))
    assert [entry.name for entry in codecs_for(backend_entry(backend), draft.facts)] == codecs


def test_added_configuration_is_canonical_and_new() -> None:
    draft = first_draft().add(" lmdb+png:level=1 ")
    assert Row(Configuration("lmdb+png")) in draft.rows
    assert [row.ticked for row in draft.rows[:5]] == [True, True, True, True, False]
    for text in ("lmdb+png", "nothing", "lmdb@"):
        with pytest.raises(UsageError):
            draft.add(text)


def test_last_row_is_not_removed() -> None:
    with pytest.raises(UsageError, match="last"):
        Draft((Row(Configuration("lmdb+raw")),)).remove(0)


def test_draft_that_follows_a_plan_keeps_its_rows() -> None:
    draft = draft_of(plan_of())
    assert [row.ticked for row in draft.following(plan_of("lmdb")).rows] == [False, True, False]
    other = plan_of("hdf5+png")
    assert draft.following(other) == draft_of(other)


def test_changed_draft_is_no_preset() -> None:
    draft = draft_of(
        Plan("sample", configurations_of("lmdb+raw", "hdf5+raw"), (10,), first=True, preset="article", seed=3)
    )
    assert draft.plan("sample").preset == "article"
    assert draft.moved("/x").plan("sample").preset == "article"
    for changed in (draft.toggle(0), draft.with_codec(0, "png"), draft.remove(0), draft.changed(repeats=4)):
        plan = changed.plan("sample")
        assert (plan.preset, plan.first, plan.seed) == ("", False, 3)


def planned(words: list[str], monkeypatch: pytest.MonkeyPatch) -> Plan:
    """The plan that the bench command would run for these words."""
    plans: list[Plan] = []
    monkeypatch.setattr("tui.commands.in_child", lambda *_, **__: survey("sample", None, AS_FOUND))
    monkeypatch.setattr("tui.commands.bench", lambda plan, *_, **__: plans.append(plan))
    cli.commands["bench"].main(words, standalone_mode=False)
    return plans[0]


@pytest.mark.parametrize("number", range(5))
def test_command_line_makes_the_same_plan(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_dataset("sample") as dataset:
        article = Draft((), facts=dataset.facts()).article().plan("sample")
    plan = (
        Plan("/a b/c", configurations_of("lmdb+raw"), (10, 100), ("store",), 2, 7, work_dir="/d e"),
        Plan(
            "sample",
            configurations_of("files+png", "lmdb+png:level=2@/x"),
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
        Plan("sample", configurations_of("hdf5+raw"), (10,), ("read",), in_thread=True),
        Plan("sample", configurations_of("npy+raw"), (10,), ("epoch",), loader_workers=(0, 4), fetch="item", step_ms=5),
        article,
    )[number]
    words = shlex.split(command_line(plan))
    assert words[:2] == ["imgstore-tui", "bench"]
    assert planned(words[2:], monkeypatch) == plan


def test_each_configuration_has_its_own_name_and_mark() -> None:
    names = ("files+png", "lmdb+raw", "lmdb+png", "lmdb+png:level=2", "lmdb+png:level=3", "hdf5+raw@/b")
    known = identify(configurations_of(*names))
    assert len({label.mark for label in known.values()}) == len(names)
    assert len({label.name for label in known.values()}) == len(names)
    first, second = known[Configuration("lmdb+raw")], known[Configuration("lmdb+png")]
    assert (first.mark, second.mark, first.role == second.role) == ("▲", "△", True)


def test_references_are_grey_with_their_own_marks() -> None:
    known = identify(draft_of(plan_of("article-png", "lmdb", limits=True)).known)
    references = [label for label in known.values() if label.configuration.is_reference]
    assert [label.configuration.backend for label in references] == ["article-png", "limit"]
    assert {label.role for label in references} == {"$dim"}
    assert len({label.mark for label in known.values()}) == 3


@pytest.mark.parametrize(
    ("field", "texts"),
    [
        ("sizes", ("", " ", "abc", "0", "-1", "1.5", "10,x", "1kk", "9" * 400, "٣", "1e3")),
        ("repeats", ("", "0", "100001", "three", "-1", "9" * 400)),
        ("operations", ("", "fly", "store, fly")),
    ],
)
def test_wrong_plan_field_is_refused_with_a_sentence(field: str, texts: tuple[str, ...]) -> None:
    for text in texts:
        with pytest.raises(UsageError, match=r"\w+.*\."):
            parse(field, text)


def test_plan_sentence_says_what_will_be_written() -> None:
    plan = plan_of(sizes=(10, 2000))
    assert plan_sentence(plan, *fixed_weight(plan, facts())) == (
        "Times storing and reading 10 to 2,000 images. About 25 s. Temporary files: up to 60 MB in /scratch/me."
    )
    assert describe_plan(plan) == "3 configurations, 2 sizes, 3 repeats, store and read: 42 trials"
    assert describe_row(Configuration("lmdb+raw"), Aspect.STORE, None) == (
        "LMDB environment, pixels as they are, lossless",
        False,
    )


@pytest.mark.usefixtures("plugin")
def test_broken_plugin_is_an_unticked_row_that_says_why() -> None:
    (row,) = (row for row in first_draft().rows if row.configuration == "unimportable+raw")
    assert not row.ticked
    sentence, failure = describe_row(row.configuration, Aspect.STORE, None)
    assert failure
    assert "cannot be imported (RuntimeError: this plug-in is for another version)" in sentence
    assert sentence.endswith("pip uninstall imgstore-test-plugin")
