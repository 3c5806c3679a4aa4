"""The README's lines for reading without this program."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from backends.images import Images
from backends.registry import backend_entries, make_backend
from backends.testing.subject import assert_same, layout_of, make_images, store
from tests.backends.snippets import IMPORTS, SNIPPETS, read_by_snippet

if TYPE_CHECKING:
    from pathlib import Path


def test_every_backend_has_a_snippet_of_its_default_codec() -> None:
    ours = [
        f"{entry.name}+{entry.codec}" for entry in backend_entries().values() if entry.target.startswith("backends.")
    ]
    assert list(SNIPPETS) == ours


@pytest.mark.parametrize("configuration", SNIPPETS)
def test_snippet_reads_what_was_stored(configuration: str, tmp_path: Path, sample_images: Images) -> None:
    backend, _, codec = configuration.partition("+")
    images = Images(sample_images.pixels, sample_images.labels * 2**40 - 1)
    store(make_backend(backend), tmp_path / "container", images, layout_of(images, codec))
    assert_same(Images(*read_by_snippet(configuration, tmp_path / "container")), images)
    assert len(SNIPPETS[configuration].splitlines()) <= 5


def test_png_snippet_closes_files_it_opened(tmp_path: Path) -> None:
    images = make_images(1_100, side=2)
    store(make_backend("files"), tmp_path / "container", images, layout_of(images, "png"))
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (99, 99))\n"
    path = f"path = {str(tmp_path / 'container')!r}\n"
    code = limit + IMPORTS + path + SNIPPETS["files+png"] + "print(np.array(images).sum())\n"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (found.stdout, found.stderr) == (f"{np.asarray(images.pixels).sum()}\n", "")
