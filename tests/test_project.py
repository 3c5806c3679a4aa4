"""What the wheel holds."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert built.returncode == 0, built.stderr
    (found,) = folder.glob("*.whl")
    return found


def test_wheel_holds_two_packages_and_the_sample(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names} == {
        "backends",
        "imgstore_backends.py",
        "imgstore_tui-0.1.0.dist-info",
        "imgstore_tui.py",
        "tui",
    }
    for needed in ("backends/datasets/sample_images/sheet.png", "backends/py.typed", "tui/py.typed"):
        assert needed in names
    source = {path.relative_to(ROOT).as_posix() for package in ("backends", "tui") for path in
              (ROOT / package).rglob("*") if path.is_file() and path.suffix != ".pyc"}  # fmt: skip
    assert {name.replace("backends/launch/", "").replace("tui/launch/", "") for name in source} <= set(names)


def test_installed_program_imports_its_own_packages(wheel: Path, tmp_path: Path) -> None:
    """The wheel is unpacked as pip does it, beside a folder of packages with the same names that comes first."""
    hostile, installed = tmp_path / "hostile", tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(installed)
    for name in ("backends", "tui"):
        (hostile / name).mkdir(parents=True)
        (hostile / name / "__init__.py").write_text("raise SystemExit('the wrong package was imported')")
    code = "import imgstore_tui, sys; sys.argv[0] = 'imgstore-tui'\n"
    code += "try: imgstore_tui.main()\n"
    code += "finally: print(sys.modules['backends'].__file__, sys.modules['tui'].__file__, file=sys.stderr)"
    command = [sys.executable, "-P", "-c", code, "bench", "sample", "lmdb", "--sizes", "10", "--repeats", "1"]
    environment = {**os.environ, "PYTHONPATH": f"{hostile}{os.pathsep}{installed}", "XDG_STATE_HOME": str(tmp_path)}
    command += ["--work-dir", str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=hostile)
    assert found.returncode == 0, found.stderr
    assert "lmdb+raw" in found.stdout
    assert "failed" not in found.stdout
    assert found.stderr.splitlines()[-1] == f"{installed}/backends/__init__.py {installed}/tui/__init__.py"
