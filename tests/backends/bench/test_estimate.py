"""What a plan will take at most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backends.bench.disk import usage_of
from backends.bench.estimate import artefact_need
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
    used, said = usage_of(tmp_path / "container"), artefact_need(f"{backend}+{codec}", count, facts, 4_096)
    assert max(used.bytes_apparent, used.bytes_allocated) <= said.bytes
    assert used.files <= said.files
