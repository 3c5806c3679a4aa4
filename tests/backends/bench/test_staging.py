"""Staging: one seeded sample of the dataset, the same for every trial."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backends.bench.budget import fit_sizes
from backends.bench.staging import Source, Wanted, digests_of, stage
from backends.datasets import Dataset, open_dataset
from backends.images import Images


def ignore(done: int, total: int) -> None:
    """A tick that nobody looks at."""


def staged(dataset: Dataset, wanted: Wanted, folder: Path) -> Source:
    return stage(dataset, wanted, folder, ignore).source


def gather(source: Source, count: int) -> Images:
    found = [(np.array(images.pixels), images.labels) for images in source.images(0, count)]
    return Images(np.concatenate([pixels for pixels, _ in found]), np.concatenate([labels for _, labels in found]))


@pytest.fixture(scope="module")
def sample() -> Dataset:
    return open_dataset("sample")


def test_sample_is_drawn_from_whole_dataset(sample: Dataset, tmp_path: Path) -> None:
    found = gather(staged(sample, Wanted(300, 7), tmp_path / "source"), 300)
    everything = sample.read(np.arange(sample.count))
    ids = {int(digest): i for i, digest in enumerate(digests_of(np.asarray(everything.pixels)))}
    chosen = [ids[int(digest)] for digest in digests_of(np.asarray(found.pixels))]
    assert len(set(chosen)) == 300
    assert chosen != sorted(chosen)
    assert max(chosen) > 1500
    assert np.array_equal(found.labels, everything.labels[chosen])


def test_seed_decides_sample(sample: Dataset, tmp_path: Path) -> None:
    def digests(seed: int, name: str) -> list[int]:
        found: list[int] = staged(sample, Wanted(50, seed), tmp_path / name).digests(0, 50).tolist()
        return found

    assert digests(1, "a") == digests(1, "b") != digests(2, "c")


def test_batch_of_large_images_comes_in_parts(sample: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, rows = staged(sample, Wanted(20, 0), tmp_path / "source"), np.arange(30)[::-1]
    assert [part.tolist() for part in source.parts(rows)] == [rows.tolist()]
    for images, sizes in ((7, [7, 7, 7, 7, 2]), (0.5, [1] * 30)):
        monkeypatch.setattr("backends.bench.staging.BATCH_BYTES", int(images * 32 * 32 * 3))
        parts = source.parts(rows)
        assert [len(part) for part in parts] == sizes
        assert np.concatenate(parts).tolist() == rows.tolist()


@pytest.mark.parametrize("batch", [1, 7, 20, 64])
def test_count_beyond_staged_images_repeats_them(
    sample: Dataset, tmp_path: Path, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = staged(sample, Wanted(20, 0), tmp_path / "source")
    monkeypatch.setattr("backends.bench.staging.BATCH", batch)
    assert max(stop - start for start, stop in source.ranges(0, 47)) == min(batch, 20)
    found = gather(source, 47)
    assert np.array_equal(digests_of(np.asarray(found.pixels)), source.digests(0, 47))
    assert np.array_equal(found.labels, np.resize(source.labels(0, 20), 47))


def test_digests_tell_one_bit() -> None:
    pixels = np.zeros((3, 4, 4, 3), np.uint8)
    before = digests_of(pixels)
    pixels[1, 3, 3, 2] ^= 1
    assert (digests_of(pixels) == before).tolist() == [True, False, True]
    assert len(digests_of(np.zeros((0, 4, 4, 3), np.uint8))) == 0


def test_exception_of_tick_ends_staging(sample: Dataset, tmp_path: Path) -> None:
    def enough(done: int, total: int) -> None:
        raise KeyboardInterrupt(f"{done} of {total}")

    with pytest.raises(KeyboardInterrupt, match="100 of 100"):
        stage(sample, Wanted(100, 0), tmp_path / "source", enough)


@pytest.mark.parametrize(
    ("sizes", "count", "fitted"),
    [((10, 100), 1000, (10, 100)), ((10, 10_000), 50, (10, 10_000)), ((10, 5000, 9000), 9000, (10, 100))],
    ids=["fits", "repeats fit", "shrinks"],
)
def test_sizes_shrink_to_memory(sizes: tuple[int, ...], count: int, fitted: tuple[int, ...]) -> None:
    assert fit_sizes(sizes, count, 3072, memory=100 * 3072 + 5) == fitted
