"""The project as a whole: what its wheel holds, what its README promises."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_wheel_holds_the_two_packages_and_the_sample_and_nothing_else(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names} == {"backends", "tui", "imgstore_tui-0.1.0.dist-info"}
    for needed in ("backends/datasets/sample_images/sheet.png", "backends/py.typed", "tui/py.typed"):
        assert needed in names
    source = {path.relative_to(ROOT).as_posix() for package in ("backends", "tui") for path in
              (ROOT / package).rglob("*") if path.suffix in (".py", ".tcss")}  # fmt: skip
    assert source <= set(names)


def test_the_readme_keeps_within_its_length() -> None:
    assert README.count("\n") <= 250


def test_the_architecture_names_every_part_of_the_house() -> None:
    parts = [path.name for package in ("backends", "tui") for path in (ROOT / package).iterdir()
             if path.is_dir() and not path.name.startswith("_")]  # fmt: skip
    assert [part for part in parts if f"{part}/" not in README] == []
