"""The backend parquet."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from backends.bench.configuration import Configuration
from backends.errors import ContainerDamaged, UsageError
from backends.images import Layout, join_records
from backends.registry import make_backend
from backends.testing.subject import layout_of, make_images, store
from tests.backends.encoded import encoded

if TYPE_CHECKING:
    from pathlib import Path

    from backends.images import Images

IMAGES = make_images(12)


BY_DATASETS = """
import hashlib, json, sys
import datasets
rows = datasets.load_dataset("parquet", data_files=sys.argv[1], split="train", cache_dir=sys.argv[2])
pixels = [hashlib.sha256(image.tobytes()).hexdigest() for image in rows["image"]]
raw = rows.cast_column("image", datasets.Image(decode=False))
files = [hashlib.sha256(image["bytes"]).hexdigest() for image in raw["image"]]
print(json.dumps([rows.features["label"].names, list(rows["label"]), pixels, files]))
"""


def test_datasets_reads_files_labels_and_class_names(tmp_path: Path, sample_images: Images) -> None:
    forms = ["JPEG", "PNG", "BMP", "WebP"] * 3
    files = [encoded(Image.fromarray(sample_images.pixels[index]), form) for index, form in enumerate(forms)]
    records = join_records(files, np.arange(12) % 3 - 1)
    layout = Layout(12, "source", (32, 32, 3), ("cat", "dog"))
    with make_backend("parquet").create(tmp_path / "container", layout) as writer:
        writer.append(records)
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-c", BY_DATASETS, str(tmp_path / "container"), str(tmp_path / "cache")]
    found = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert found.returncode == 0, found.stderr
    names, labels, pixels, kept = json.loads(found.stdout.splitlines()[-1])
    assert (names, labels) == (["cat", "dog"], records.labels.tolist())
    assert kept == [sha256(file).hexdigest() for file in files]
    decoded = [np.asarray(Image.open(io.BytesIO(file))).tobytes() for file in files]
    assert pixels == [sha256(image).hexdigest() for image in decoded]


@pytest.mark.parametrize("codec", ["raw", "jpeg"])
def test_records_that_are_no_lossless_pictures_are_refused_at_once(codec: str) -> None:
    with pytest.raises(UsageError, match=f"parquet keeps no {codec} records: choose source or png"):
        Configuration(f"parquet+{codec}")


@pytest.mark.parametrize("batch", [1, 100])
def test_row_groups_are_small_and_hold_one_image_at_least(tmp_path: Path, batch: int) -> None:
    images = make_images(100, side=64)
    store(make_backend("parquet"), tmp_path / "container", images, layout_of(images, "png"), batch)
    facts = pq.ParquetFile(tmp_path / "container").metadata
    groups = [facts.row_group(number) for number in range(facts.num_row_groups)]
    assert len(groups) > 4
    assert all(group.total_byte_size < 2 << 16 for group in groups)


@pytest.mark.parametrize("change", ["null", "fewer", "other column", "no layout"])
def test_tables_that_are_not_ours_are_refused(tmp_path: Path, change: str) -> None:
    store(make_backend("parquet"), tmp_path / "container", IMAGES, layout_of(IMAGES, "png"))
    table = pq.read_table(tmp_path / "container")
    match change:
        case "null":
            rows = table.column("image").to_pylist()
            rows[7]["bytes"] = None
            table = table.set_column(0, table.schema.field("image"), pa.array(rows, table.schema.field("image").type))
        case "fewer":
            table = table.slice(1)
        case "other column":
            table = table.append_column("name", pa.array(["x"] * 12))
        case "no layout":
            table = table.replace_schema_metadata()
    pq.write_table(table, tmp_path / "container")
    with pytest.raises(ContainerDamaged), make_backend("parquet").open(tmp_path / "container") as reader:
        reader.read(slice(None))
