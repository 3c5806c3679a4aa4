"""The backend zarr."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zarr

from backends.errors import ContainerDamaged
from backends.registry import make_backend
from backends.testing.subject import assert_same, layout_of, make_images, read, store

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backends.containers.zarr.CHUNK_BYTES", 1_500)
    monkeypatch.setattr("backends.containers.zarr.SHARD_BYTES", 3_000)


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize(("codec", "mixed"), [("raw", False), ("raw", True), ("png", True)])
def test_missing_shard_is_damage_and_not_zeros(tmp_path: Path, codec: str, mixed: bool) -> None:
    images = make_images(120, mixed=mixed)
    store(make_backend("zarr"), tmp_path / "container", images, layout_of(images, codec))
    pixels = "data" if mixed else "images"
    shards = [file for file in (tmp_path / "container" / pixels).iterdir() if file.name != "zarr.json"]
    assert len(shards) > 2
    with make_backend("zarr").open(tmp_path / "container") as reader:
        assert_same(read(reader), images)
        assert_same(read(reader, np.array([119, 3, 3, 20])), images, np.array([119, 3, 3, 20]))
        for shard in shards:
            shard.rename(tmp_path / "away")
            for key in (slice(None), np.arange(119, -1, -1)):
                with pytest.raises(ContainerDamaged, match=shard.name):
                    reader.read(key)
            (tmp_path / "away").rename(shard)
        assert_same(read(reader), images)


@pytest.mark.usefixtures("small_shards")
def test_images_are_uncompressed_shards_without_a_gap(tmp_path: Path) -> None:
    images = make_images(40)
    np.asarray(images.pixels)[7:9] = 0
    store(make_backend("zarr"), tmp_path / "container", images, layout_of(images, "raw"), batch=40)
    group: Any = zarr.open_group(tmp_path / "container", mode="r")
    assert set(group) == {"images", "labels"}
    assert (group["images"].shards, group["images"].chunks, group["images"].compressors) == (
        *((6, 12, 13, 3), (3, 12, 13, 3)),
        (),
    )
    assert group["labels"].dtype == np.dtype("<i8")
    np.testing.assert_array_equal(group["images"][:], images.pixels)


@pytest.mark.parametrize("change", ["other type", "fewer", "no labels", "no layout"])
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, change: str) -> None:
    images = make_images(9)
    store(make_backend("zarr"), tmp_path / "container", images, layout_of(images, "raw"))
    group: Any = zarr.open_group(tmp_path / "container", mode="r+")
    match change:
        case "other type":
            group.create_array("images", data=np.asarray(images.pixels, np.int8), overwrite=True)
        case "fewer":
            group.create_array("labels", data=images.labels[1:], overwrite=True)
        case "no labels":
            del group["labels"]
        case "no layout":
            del group.attrs["layout"]
    with pytest.raises(ContainerDamaged), make_backend("zarr").open(tmp_path / "container") as reader:
        reader.read(slice(None))
