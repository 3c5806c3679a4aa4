"""Plans: which trials, in which order."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from backends.bench.configuration import Configuration
from backends.bench.plan import Plan, check_plan, default_sizes
from backends.bench.schedule import trials
from backends.datasets import open_dataset
from backends.errors import UsageError

PLAN = Plan("sample", ("files", "lmdb", "hdf5"), (100, 10), repeats=3)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("lmdb", "lmdb+raw"),
        ("files", "files+png"),
        ("lmdb+png", "lmdb+png"),
        ("lmdb+png:level=2", "lmdb+png:level=2"),
        ("lmdb+png:level=1", "lmdb+png"),
        ("hdf5@/scratch", "hdf5+raw@/scratch"),
    ],
)
def test_a_configuration_has_one_name_that_parses_back(text: str, name: str) -> None:
    parsed = Configuration.parse(text)
    assert str(parsed) == name
    assert Configuration.parse(name) == parsed


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "there is no backend ''"),
        ("zip", "there is no backend 'zip': choose one of files, lmdb, hdf5"),
        ("lmdb+gif", "there is no codec 'gif': choose one of raw, png"),
        ("lmdb+raw:level=1", "raw has no option 'level': it has none"),
        ("files+png:speed=1", "png has no option 'speed': it has level"),
        ("files+png:level=fast", "'level=fast' is not NAME=WHOLE NUMBER"),
        ("files+png:level=9", "choose a level from 0 (fastest) to 3 (smallest)"),
        ("lmdb@", "names no folder behind its @"),
    ],
)
def test_what_is_not_a_configuration_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=re.escape(sentence)):
        Configuration.parse(text)


def test_a_codec_that_does_not_keep_the_channels_is_one_sentence() -> None:
    facts = open_dataset("sample").facts()
    assert Configuration.parse("tar+jpeg", facts).codec == "jpeg"
    with pytest.raises(UsageError, match=r"'tar\+jpeg': jpeg keeps no images of 4 channels: choose raw or png"):
        Configuration.parse("tar+jpeg", replace(facts, image_shape=(8, 8, 4)))


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        (Plan("sample", (), (1,)), "name at least one configuration"),
        (Plan("sample", ("lmdb",), ()), "name at least one number of images"),
        (Plan("sample", ("lmdb",), (0,)), "size 0 is not a number of images"),
        (Plan("sample", ("lmdb",), (-5,)), "size -5 is not a number of images"),
        (Plan("sample", ("lmdb",), (1,), repeats=0), "0 repeats cannot be made"),
        (Plan("sample", ("lmdb",), (1,), repeats=10**9), "choose 1 to 100,000"),
        (Plan("sample", ("lmdb",), (10**400,)), "choose 1 to 1,000,000,000,000"),
        (Plan("sample", ("lmdb",), (1,), seed=-1), "seed -1 is below 0"),
        (Plan("sample", ("lmdb",), (1,), operations=("write",)), "there is no operation 'write'"),
        (Plan("sample", ("lmdb",), (1,), operations=()), "there is no operation ''"),
    ],
)
def test_a_plan_that_cannot_be_meant_is_one_sentence(plan: Plan, sentence: str) -> None:
    with pytest.raises(UsageError, match=re.escape(sentence)):
        check_plan(plan)


def test_a_checked_plan_names_things_once_and_in_order() -> None:
    checked = check_plan(Plan("sample", ("lmdb", "lmdb+raw", "files"), (100, 10, 100), operations=("read", "store")))
    assert checked.configurations == ("lmdb+raw", "files+png")
    assert checked.sizes == (10, 100)
    assert checked.operations == ("store", "read")


def test_every_repeat_is_a_block_with_each_configuration_once() -> None:
    plan = check_plan(PLAN)
    blocks: dict[tuple[int, int], list[tuple[str, str]]] = {}
    for trial in trials(plan):
        blocks.setdefault((trial.count, trial.repeat), []).append((trial.configuration, trial.operation))
    expected = sorted((name, operation) for name in plan.configurations for operation in plan.operations)
    assert list(blocks) == [(10, 0), *((size, repeat) for size in (10, 100) for repeat in (1, 2, 3))]
    assert all(sorted(block) == expected for block in blocks.values())


def test_a_read_follows_the_store_that_made_its_artefact() -> None:
    found = trials(check_plan(PLAN))
    for trial in found:
        if trial.operation == "read":
            assert trial.reads is not None
            store = found[trial.reads]
            assert store.index < trial.index
            assert (store.operation, store.configuration) == ("store", trial.configuration)
            assert (store.count, store.repeat) == (trial.count, trial.repeat)


def test_the_seed_makes_the_order() -> None:
    def order(seed: int) -> list[str]:
        return [
            trial.configuration for trial in trials(check_plan(Plan("sample", PLAN.configurations, (10,), seed=seed)))
        ]

    assert order(1) == order(1)
    assert len({tuple(order(seed)) for seed in range(5)}) > 1


def test_warm_ups_and_unasked_stores_are_not_shown() -> None:
    plan = check_plan(Plan("sample", ("lmdb",), (10,), operations=("read",), repeats=2))
    assert [(t.operation, t.repeat, t.shown) for t in trials(plan)] == [
        ("store", 0, False),
        ("read", 0, False),
        ("store", 1, False),
        ("read", 1, True),
        ("store", 2, False),
        ("read", 2, True),
    ]


@pytest.mark.parametrize(("count", "sizes"), [(7, (7,)), (10, (10,)), (2000, (10, 100, 1000, 2000))])
def test_default_sizes_end_with_the_whole_dataset(count: int, sizes: tuple[int, ...]) -> None:
    assert default_sizes(count) == sizes
