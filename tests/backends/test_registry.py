"""The registry: names, options, and libraries that are loaded late or not there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from backends.base import PngOptions, format_options, parse_options
from backends.errors import UsageError
from backends.registry import backend_entry, codec_entries, codec_entry, make_backend, make_codec
from tests.backends.containers import BACKENDS


@pytest.mark.parametrize("name", BACKENDS)
def test_entry_agrees_with_backend(name: str) -> None:
    entry, backend = backend_entry(name), make_backend(name)
    assert entry.name == backend.name
    assert entry.installed
    assert entry.codec in codec_entries()


@pytest.mark.parametrize("name", ["raw", "png", "source", "jpeg"])
def test_entry_agrees_with_codec(name: str) -> None:
    entry, codec = codec_entry(name), make_codec(name)
    assert (entry.name, entry.lossless) == (codec.name, codec.lossless)
    assert isinstance(codec.options, entry.options)


@pytest.mark.parametrize("make", [make_backend, make_codec, backend_entry, codec_entry])
def test_unknown_name_is_refused_with_known_ones(make: object) -> None:
    assert callable(make)
    with pytest.raises(UsageError, match=r"'zip'.*choose one of"):
        make("zip")


@pytest.mark.parametrize(
    ("codec", "text"),
    [("png", text) for text in ("level=13", "level=-1", "level=x", "effort=1", "level")]
    + [("jpeg", text) for text in ("quality=0", "quality=101", "level=1")],
)
def test_impossible_options_are_refused(codec: str, text: str) -> None:
    with pytest.raises(UsageError, match=codec):
        parse_options(codec_entry(codec).options, text, codec)


@pytest.mark.parametrize(("text", "options"), [("", PngOptions()), ("level=3", PngOptions(3))])
def test_options_round_trip(text: str, options: PngOptions) -> None:
    assert parse_options(PngOptions, text, "png") == options
    assert format_options(options) == text


def run(code: str, *folders: Path) -> str:
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {[str(folder) for folder in folders]}\n{code}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_listing_backends_loads_none_of_their_libraries() -> None:
    heavy = "{'numpy', 'h5py', 'lmdb', 'PIL', 'deflate', 'pytest'}"
    code = "from backends import registry; registry.entry_points = lambda group: []; registry.backend_entries()"
    assert run(f"{code}; print({heavy} & set(sys.modules))") == "set()\n"


PLUG_IN = """
from backends.containers.files import Files
from backends.registry import BackendEntry
class Mine(Files):
    name = "mine"
here = BackendEntry("mine", "my folders", "plug_in:Mine", "png")
absent = BackendEntry("absent", "not here", "plug_in:Absent", "raw", library="no_such_library.deeper")
"""


def test_other_packages_add_backends(tmp_path: Path) -> None:
    install_plugin(tmp_path, "plug_in", PLUG_IN, "here", "absent")
    code = (
        "from backends.registry import *\n"
        "print(*sorted({'mine', 'absent'} & set(backend_entries())), make_backend('mine').name, sep=',')\n"
        "try: make_backend('absent')\n"
        "except ImportError as error: print(error)"
    )
    first, second = run(code, tmp_path).splitlines()
    assert first == "absent,mine,mine"
    library = "no_such_library.deeper"
    assert second == f"absent needs the library {library}, which is not installed: pip install {library}"


@pytest.mark.parametrize(
    ("content", "name", "sentence"),
    [
        (
            "import no_such_library",
            "bad",
            "cannot be imported (ModuleNotFoundError: No module named 'no_such_library')",
        ),
        ("raise SystemExit('bye')", "bad", "cannot be imported (SystemExit: bye)"),
        ("def", "bad", "cannot be imported (SyntaxError: invalid syntax (bad_plug_in.py, line 1))"),
        ("", "bad", "cannot be imported (AttributeError: module 'bad_plug_in' has no attribute 'bad')"),
        ("bad = 'hdf5'", "bad", "is no BackendEntry but str"),
        ("bad = BackendEntry", "bad", "is no BackendEntry but type"),
        ("bad = BackendEntry('mine', 5, 'bad_plug_in:M', 'raw')", "bad", "are not as documented"),
        ("bad = BackendEntry('mine', 'x', 'bad_plug_in', 'raw')", "bad", "are not as documented"),
        ("bad = BackendEntry('my@own', 'x', 'bad_plug_in:M', 'raw')", "bad", "no configuration can have"),
        ("bad = BackendEntry('mine', 'x', 'bad_plug_in:M', 'gif')", "bad", "the codec 'gif', which does not exist"),
        ("bad = BackendEntry('mine', 'x', 'bad_plug_in:M', 'raw', options=3)", "bad", "options that are no Options"),
        ("bad = BackendEntry('files', 'x', 'bad_plug_in:M', 'raw')", "bad", "is called 'files', as another backend is"),
        ("bad = BackendEntry('limit', 'x', 'bad_plug_in:M', 'raw')", "bad", "is called 'limit', as another backend is"),
        ("import no_such_library", "files", "cannot be imported (ModuleNotFoundError"),
    ],
)
def test_broken_plugin_is_listed_and_stops_nothing(tmp_path: Path, content: str, name: str, sentence: str) -> None:
    content = content if content == "def" else f"from backends.registry import BackendEntry\n{content}"
    install_plugin(tmp_path, "bad_plug_in", content, name)
    program = Path(sys.executable).parent / "imgstore-tui"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}

    def command(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([str(program), *words], capture_output=True, text=True, env=environment)

    listed = json.loads(command("backends", "--json").stdout)
    (broken,) = (one for one in listed if "bad-plug-in" in one["error"])
    assert broken not in listed[: len(BACKENDS)]
    assert (broken["name"], broken["installed"]) == ("files-2" if name == "files" else "bad", False)
    assert broken["error"].startswith(f"the plug-in {name!r} of bad-plug-in")
    assert sentence in broken["error"]
    assert broken["error"].endswith("update that package, or remove it: pip uninstall bad-plug-in")
    assert f"{broken['name']}: {broken['error']}" in command("backends").stdout.splitlines()
    refused = command("bench", "sample", broken["name"])
    assert (refused.returncode, refused.stderr) == (
        1,
        f"imgstore-tui: {broken['name']} cannot be used: {broken['error']}\n",
    )


def install_plugin(folder: Path, module: str, content: str, *names: str) -> None:
    """Put a package with one module into ``folder``, as pip does: each name is an entry point and a name in it."""
    package = module.replace("_", "-")
    (folder / f"{module}.py").write_text(content)
    facts = folder / f"{module}-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    points = "".join(f"{name} = {module}:{name}\n" for name in names)
    (facts / "entry_points.txt").write_text(f"[imgstore.backends]\n{points}")
