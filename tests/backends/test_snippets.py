"""The README's lines for reading without this program."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from backends.images import Images
from backends.registry import backend_entries, make_backend
from backends.testing.subject import assert_same, layout_of, make_images, store
from tests.backends.snippets import IMPORTS, README, SNIPPETS, read_by_snippet

if TYPE_CHECKING:
    from pathlib import Path


def test_every_backend_has_a_snippet_of_its_default_codec() -> None:
    assert list(SNIPPETS) == [f"{entry.name}+{entry.codec}" for entry in backend_entries().values()]


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


def test_example_of_a_backend_passes_the_suite(tmp_path: Path) -> None:
    text = (README.parent / "backends/README.md").read_text(encoding="utf-8")
    blocks = [block.split("```")[0] for block in text.split("```python\n")[1:]]
    point = text.split("```toml\n")[1].split("```")[0].splitlines()[1].replace('"', "")
    (tmp_path / "joined-1.dist-info").mkdir()
    (tmp_path / "joined-1.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: joined\nVersion: 1\n")
    (tmp_path / "joined-1.dist-info/entry_points.txt").write_text(f"[imgstore.backends]\n{point}\n")
    for name, block in zip(("joined.py", "test_joined.py"), blocks, strict=True):
        (tmp_path / name).write_text(block)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_joined.py"]
    found = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stdout
    assert int(found.stdout.rpartition("\n")[0].splitlines()[-1].split()[0]) > 150
