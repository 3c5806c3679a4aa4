"""What a plan will take at most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backends.bench.disk import usage_of
from backends.bench.estimate import artefact_need
from backends.bench.measurement import Trial
from backends.datasets import open_dataset
from backends.images import Layout
from backends.registry import backend_entries, make_backend, make_codec

if TYPE_CHECKING:
    from pathlib import Path

    from backends.images import Images


@pytest.mark.parametrize("codec", ["raw", "png", "jpeg"])
@pytest.mark.parametrize("backend", backend_entries())
def test_no_container_takes_more_than_was_said(sample_images: Images, tmp_path: Path, backend: str, codec: str) -> None:
    facts, count = open_dataset("sample").facts(), 10 * len(sample_images)
    with make_backend(backend).create(tmp_path / "container", Layout(count, codec, (32, 32, 3))) as writer:
        for _ in range(10):
            writer.append(make_codec(codec).encode(sample_images))
    trial = Trial(0, f"{backend}+{codec}", "store", count, 1)
    used, said = usage_of(tmp_path / "container"), artefact_need(trial, facts, 4_096, 0)
    assert max(used.bytes_apparent, used.bytes_allocated) <= said.bytes
    assert used.files <= said.files
