"""The registry: names, options, and libraries that are loaded late or not there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from backends.errors import UsageError
from backends.options import PngOptions, format_options, parse_options
from backends.registry import backend_entry, codec_entries, codec_entry, make_backend, make_codec


@pytest.mark.parametrize("name", ["files", "lmdb", "hdf5", "npy", "sqlite", "tar"])
def test_an_entry_says_what_its_backend_says(name: str) -> None:
    entry, backend = backend_entry(name), make_backend(name)
    assert (entry.name, entry.title, entry.extra) == (backend.name, backend.title, backend.extra)
    assert entry.installed
    assert entry.codec in codec_entries()


@pytest.mark.parametrize("name", ["raw", "png", "source", "jpeg"])
def test_an_entry_says_what_its_codec_says(name: str) -> None:
    entry, codec = codec_entry(name), make_codec(name)
    assert (entry.name, entry.lossless) == (codec.name, codec.lossless)
    assert isinstance(codec.options, entry.options)


@pytest.mark.parametrize("make", [make_backend, make_codec, backend_entry, codec_entry])
def test_an_unknown_name_is_refused_with_those_that_there_are(make: object) -> None:
    assert callable(make)
    with pytest.raises(UsageError, match=r"'zip'.*choose one of"):
        make("zip")


@pytest.mark.parametrize(
    ("codec", "text"),
    [("png", text) for text in ("level=13", "level=-1", "level=x", "effort=1", "level")]
    + [("jpeg", text) for text in ("quality=0", "quality=101", "level=1")],
)
def test_options_that_cannot_be_meant_are_refused(codec: str, text: str) -> None:
    with pytest.raises(UsageError, match=codec):
        parse_options(codec_entry(codec).options, text, codec)


@pytest.mark.parametrize(("text", "options"), [("", PngOptions()), ("level=3", PngOptions(3))])
def test_options_are_read_as_they_are_written(text: str, options: PngOptions) -> None:
    assert parse_options(PngOptions, text, "png") == options
    assert format_options(options) == text


def run(code: str, *folders: Path) -> str:
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {[str(folder) for folder in folders]}\n{code}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_listing_backends_loads_none_of_their_libraries() -> None:
    heavy = "{'numpy', 'h5py', 'lmdb', 'PIL', 'isal', 'deflate', 'pytest'}"
    code = f"from backends.registry import backend_entries; backend_entries(); print({heavy} & set(sys.modules))"
    assert run(code) == "set()\n"


PLUG_IN = """
from backends.files import Files
from backends.registry import BackendEntry
class Mine(Files):
    name = "mine"
here = BackendEntry("mine", "my folders", "plug_in:Mine", "png")
absent = BackendEntry("absent", "not here", "plug_in:Absent", "raw", library="no_such_library")
ours = BackendEntry("files", "not ours", "plug_in:Mine", "png")
"""


def test_other_packages_add_backends_and_replace_none(tmp_path: Path) -> None:
    (tmp_path / "plug_in.py").write_text(PLUG_IN)
    facts = tmp_path / "plug_in-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: plug-in\nVersion: 1.0\n")
    names = "\n".join(f"{name} = plug_in:{name}" for name in ("here", "absent", "ours"))
    (facts / "entry_points.txt").write_text(f"[imgstore.backends]\n{names}\n")
    code = (
        "from backends.registry import *\n"
        "print(*list(backend_entries())[-2:], backend_entry('files').title, make_backend('mine').name, sep=',')\n"
        "try: make_backend('absent')\n"
        "except ImportError as error: print(error)"
    )
    first, second = run(code, tmp_path).splitlines()
    assert first == "mine,absent,one file an image,mine"
    assert second == "absent needs the library no_such_library, which is not installed: pip install no_such_library"
