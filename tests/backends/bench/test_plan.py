"""Plans: which trials, in which order."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import pytest

from backends.bench.configuration import Configuration, configurations_of
from backends.bench.measurement import OPERATIONS, STORES
from backends.bench.plan import Plan, check_plan, default_sizes
from backends.bench.schedule import aspects, trials
from backends.datasets import open_dataset
from backends.errors import UsageError
from backends.registry import backend_entries

PLAN = Plan("sample", configurations_of("files", "lmdb", "hdf5"), (100, 10), repeats=3)


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
def test_configuration_name_parses_back(text: str, name: str) -> None:
    parsed = Configuration(text)
    assert parsed == name
    assert Configuration(name) == parsed


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "there is no backend ''"),
        ("zip", "there is no backend 'zip': choose one of files, lmdb, hdf5"),
        ("lmdb+gif", "there is no codec 'gif': choose one of raw, png"),
        ("lmdb+raw:level=1", "raw has no option 'level': it has none"),
        ("files+png:speed=1", "png has no option 'speed': it has level"),
        ("files+png:level=fast", "'level=fast' is not NAME=WHOLE NUMBER"),
        ("files+png:level=13", "choose 0 (no compression) to 12 (smallest)"),
        ("lmdb@", "names no folder behind its @"),
    ],
)
def test_wrong_configuration_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=re.escape(sentence)):
        Configuration(text)


def test_codec_without_these_channels_is_refused() -> None:
    facts = open_dataset("sample").facts()
    assert Configuration.for_dataset("tar+jpeg", facts).codec == "jpeg"
    with pytest.raises(UsageError, match=r"'tar\+jpeg': jpeg keeps no images of 4 channels: choose raw or png"):
        Configuration.for_dataset("tar+jpeg", replace(facts, image_shape=(8, 8, 4)))


def test_references_keep_bare_pixels_of_one_size() -> None:
    facts = replace(open_dataset("sample").facts(), image_shape=None, source_bytes=10**6)
    assert Configuration.for_dataset("limit", facts) == "limit+source"
    for text, sentence in (("article-png", "images of one size only"), ("limit+png", "keeps no png records")):
        with pytest.raises(UsageError, match=sentence):
            Configuration.for_dataset(text, facts)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"configurations": ()}, "name at least one configuration"),
        ({"sizes": ()}, "no images: name at least one"),
        ({"sizes": (0,)}, "0 is not a number of images"),
        ({"sizes": (-5,)}, "-5 is not a number of images"),
        ({"sizes": (10**400,)}, "choose 1 to 1,000,000,000,000"),
        ({"repeats": 0}, "0 is not a number of repeats: choose 1 to 100,000"),
        ({"repeats": 10**9}, "choose 1 to 100,000"),
        ({"seed": -1}, "-1 is not a seed: write one such as 0"),
        ({"operations": ("write",)}, "'write' is not an operation: choose from store, read"),
        ({"operations": ()}, "no operations: name at least one"),
        ({"batch": 0}, "0 is not a number of images: choose 1 to 1,048,576"),
        ({"workers": 65}, "65 is not a number of workers: choose 1 to 64"),
        ({"workers": 2, "in_thread": True}, "workers are processes"),
        ({"budget": 0.0}, "0.0 is not a time: write one such as 90s"),
        ({"budget": math.nan}, "nan is not a time"),
        ({"predict": 0}, "0 is not a number of images"),
        ({"caches": ("hot",)}, "'hot' is not a cache state: choose from warm, cold"),
        ({"operations": ("store",), "caches": ("cold",)}, "no operation reads"),
        ({"caches": ("cold",), "in_thread": True}, "cold reads need a process of their own"),
    ],
)
def test_impossible_plan_is_one_sentence(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=re.escape(sentence)):
        check_plan(replace(PLAN, **fields))


def test_checked_plan_is_canonical() -> None:
    checked = check_plan(
        Plan("sample", configurations_of("lmdb", "lmdb+raw", "files"), (100, 10, 100), operations=("read", "store"))
    )
    assert checked.configurations == ("lmdb+raw", "files+png")
    assert checked.sizes == (10, 100)
    assert checked.operations == ("store", "read")


def test_each_repeat_is_block_with_each_turn_once() -> None:
    plan = check_plan(replace(PLAN, caches=("warm", "cold")))
    blocks: dict[tuple[int, int], list[tuple[str, str]]] = {}
    for trial in trials(plan):
        blocks.setdefault((trial.count, trial.repeat), []).append((trial.configuration, trial.aspect))
    expected = sorted((name, aspect) for name in plan.configurations for aspect in aspects(plan))
    assert list(blocks) == [(10, 0), *((size, repeat) for size in (10, 100) for repeat in (1, 2, 3))]
    assert all(sorted(block) == expected for block in blocks.values())


def test_each_read_is_measured_warm_and_cold() -> None:
    assert aspects(check_plan(replace(PLAN, caches=("warm", "cold"), operations=("store", "read")))) == (
        *("store", "read", "read cold"),
    )


def test_read_follows_its_store() -> None:
    found = trials(check_plan(replace(PLAN, operations=OPERATIONS, limits=True)))
    for trial in found:
        if trial.reads is not None:
            store = found[trial.reads]
            assert store.index < trial.index
            assert (store.operation, store.configuration) == (STORES[trial.operation], trial.configuration)
            assert (store.count, store.repeat) == (trial.count, trial.repeat)


def test_one_image_operations_have_size_one() -> None:
    found = trials(check_plan(replace(PLAN, operations=("read", "read-one"))))
    counts = {(trial.operation, trial.count) for trial in found}
    assert counts == {("store-one", 1), ("read-one", 1), *((name, n) for name in ("store", "read") for n in (10, 100))}


def test_references_do_their_operations_only() -> None:
    plan = check_plan(
        Plan("sample", configurations_of("article-png", "lmdb"), (10,), operations=OPERATIONS, repeats=1, limits=True)
    )
    able: dict[str, set[str]] = {}
    for trial in trials(plan):
        able.setdefault(trial.configuration, set()).add(trial.aspect)
    assert able["article-png+raw"] == {"store", "read", "store-one", "read-one"}
    assert able["limit+raw"] == {"store", "read", "shuffled", "copy"}
    assert not {"article-png", "limit"} & set(backend_entries())


def test_seed_decides_order() -> None:
    def order(seed: int) -> list[str]:
        return [
            trial.configuration for trial in trials(check_plan(Plan("sample", PLAN.configurations, (10,), seed=seed)))
        ]

    assert order(1) == order(1)
    assert len({tuple(order(seed)) for seed in range(5)}) > 1


def test_warm_ups_and_needed_stores_are_not_shown() -> None:
    plan = check_plan(Plan("sample", configurations_of("lmdb"), (10,), operations=("read",), repeats=2))
    assert sorted((t.aspect, t.repeat, t.shown) for t in trials(plan)) == [
        *(("read", 0, False), ("read", 1, True), ("read", 2, True)),
        *(("store", 0, False), ("store", 1, False), ("store", 2, False)),
    ]


@pytest.mark.parametrize(("count", "sizes"), [(7, (7,)), (10, (10,)), (2000, (10, 100, 1000, 2000))])
def test_default_sizes_end_with_the_whole_dataset(count: int, sizes: tuple[int, ...]) -> None:
    assert default_sizes(count) == sizes
