"""Tests of reading stores: across shards, from processes and threads, as a dataset of its own."""

from __future__ import annotations

import pickle
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from backends.bench.configuration import configurations_of
from backends.bench.plan import Plan
from backends.datasets import open_dataset
from backends.errors import StoreDamaged, StoreNotFound, UsageError
from backends.runs.job import start_job
from backends.stores.manifest import INDEX
from backends.stores.store import Store, open_store
from backends.testing.readers import in_child
from tests.backends.stores.conftest import store_at

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backends.images import Images


@pytest.fixture(scope="session")
def everything(sample_images: Images) -> NDArray[np.uint8]:
    """The pixels of both splits, as the store has them."""
    return np.asarray(sample_images.pixels)


def pixels(images: Images) -> NDArray[np.uint8]:
    return np.asarray(images.pixels)


ORDERS = [
    np.random.default_rng(0).permutation(240),
    np.arange(240),
    np.arange(239, -1, -1),
    np.array([199, 200, 49, 50, 0, 239, 0]),
    np.array([-1, -240, 120]),
    np.array([], np.int64),
]


@pytest.mark.parametrize("configuration", ["hdf5+raw", "lmdb+png", "files+png"])
@pytest.mark.parametrize("rows", ORDERS, ids=["shuffled", "in order", "backwards", "edges", "negative", "none"])
def test_images_are_read_in_any_order_across_shards(
    tmp_path_factory: pytest.TempPathFactory,
    cifar10_folder: Path,
    everything: NDArray[np.uint8],
    configuration: str,
    rows: NDArray[np.int64],
) -> None:
    folder = tmp_path_factory.getbasetemp() / f"store-{configuration}"
    if not folder.exists():
        store_at(folder, cifar10_folder, configuration)
    with open_store(folder) as store:
        images = store.read(rows)
        assert np.array_equal(pixels(images).reshape(-1, 32, 32, 3), everything[rows])
        assert np.array_equal(images.labels, store.labels[rows])
        for key in (slice(40, 210), slice(None, None, -7), slice(100, 100)):
            assert np.array_equal(pixels(store.read(key)).reshape(-1, 32, 32, 3), everything[key])


def test_one_image_and_what_is_none(store: Path, everything: NDArray[np.uint8]) -> None:
    with open_store(store) as opened:
        image, label = opened[-1]
        assert np.array_equal(image, everything[-1])
        assert label == opened.labels[239]
        assert opened.locate(200) == (4, 0)
        for index in (240, -241):
            with pytest.raises(IndexError, match="outside a store of 240"):
                opened[index]
        with pytest.raises(TypeError):
            opened.read(np.array([1.5]))


def first_and_last(opened: Store) -> NDArray[np.uint8]:
    return pixels(opened.read([0, 239]))


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork")
def test_store_is_safe_after_fork_spawn_and_pickle(store: Path, everything: NDArray[np.uint8]) -> None:
    with open_store(store) as opened:
        expected = first_and_last(opened)  # it is open when it is forked
        assert np.array_equal(expected, everything[[0, 239]])
        for method in ("fork", "spawn"):
            code, got = in_child(method, first_and_last, opened)
            assert code == 0
            assert np.array_equal(got, expected)
        assert np.array_equal(first_and_last(pickle.loads(pickle.dumps(opened))), expected)


def test_many_shards_are_read_by_threads_though_few_stay_open(
    store: Path, everything: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backends.stores.store.MOST_OPEN", 2)
    equal: list[bool] = []

    def read_all(seed: int) -> None:
        for rows in np.split(np.random.default_rng(seed).permutation(240), 10):
            equal.append(np.array_equal(pixels(opened.read(rows)), everything[rows]))  # noqa: PERF401 - as they come

    with open_store(store) as opened:
        threads = [threading.Thread(target=read_all, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert equal == [True] * 40


def test_store_is_a_dataset(tmp_path: Path, store: Path, everything: NDArray[np.uint8]) -> None:
    with open_dataset(store, "test") as dataset:
        facts = dataset.survey()
        assert (facts.kind, facts.count, facts.image_shape) == ("store of hdf5+raw", 40, (32, 32, 3))
        assert facts.splits == {"train": 200, "test": 40}
        assert np.array_equal(pixels(dataset.read(np.array([39, 0]))), everything[[239, 200]])
    with pytest.raises(UsageError, match="no split 'dev'"):
        open_dataset(store, "dev")
    plan = Plan(
        str(store), configurations_of("npy+raw"), (10,), operations=("store", "read"), repeats=1, work_dir=str(tmp_path)
    )
    run = start_job(plan, tmp_path / "jobs").wait()
    assert run.outcome == "finished"
    assert not run.failures


def test_what_is_no_store_says_so(tmp_path: Path, store: Path) -> None:
    with pytest.raises(StoreNotFound, match="is no store"):
        open_store(tmp_path)
    (tmp_path / "imgstore.json").write_bytes((store / "imgstore.json").read_bytes())
    (tmp_path / INDEX).write_bytes(b"PK")
    with pytest.raises(StoreDamaged, match="cannot be read"):
        _ = open_store(tmp_path).labels
