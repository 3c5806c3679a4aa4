"""The file with the settings: what is read from it, what is wrong in it, and what follows from it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.tui.driving import SMALL, frame, until_text
from tests.tui.recorded import facts
from tests.tui.test_cli import Shell
from tui.app import ImgstoreApp
from tui.settings import Settings, read_settings
from tui.theme import LIGHT

GOOD = """
theme = "light"  # whatever the terminal says
markers = "ascii"
bell = false
work_dir = "/scratch/me"
sizes = [10, "1k", 1_000_000]
cache = ["cold", "warm"]
memory = "4 GiB"
budget = "5m"
repeats = 7
"""


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def settings_of(folder: Path, text: str | bytes) -> Settings:
    file = folder / "config.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_settings(file)


def test_values_are_read_as_the_command_line_reads_them(tmp_path: Path) -> None:
    found = settings_of(tmp_path, GOOD)
    assert (found.theme, found.markers, found.bell, found.problem) == ("light", "ascii", False, "")
    assert found.plan == {"work_dir": "/scratch/me", "sizes": (10, 1000, 1_000_000), "caches": ("warm", "cold"),
                          "memory": 4 << 30, "budget": 300, "repeats": 7}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("bell = true\n\nteme = 'dark'", "there is no key teme: did you mean theme? (line 3 of /"),
        ("colour = 'red'", "there is no key colour: known are theme, markers, bell, "),
        ("[bench]\nrepeats = 5", "there is no key bench"),
        ("theme = 'drak'", "theme: 'drak' is not a theme: choose from auto, dark, light, 16."),
        ("bell = 'loud'", "bell: 'loud' is not an answer"),
        ("repeats = 0", "repeats: 0 is not a number of repeats"),
        ("repeats = true", "repeats: 'true' is not a number of repeats"),
        ("sizes = []", "sizes: no images: name at least one"),
        ("memory = {a = 1}", "memory: "),
        ("\nbell = x", "config.toml cannot be read: Invalid value (at line 2"),
        (b"theme = '\xff'", "config.toml cannot be read: "),
    ],
)
def test_what_is_wrong_is_one_sentence_and_left_out(tmp_path: Path, text: str | bytes, sentence: str) -> None:
    found = settings_of(tmp_path, text)
    assert sentence in found.problem
    assert (found.theme, found.bell, found.plan) == ("auto", True, {})


def test_folder_in_place_of_the_file_is_said(tmp_path: Path) -> None:
    assert "cannot be read: Is a directory." in read_settings(tmp_path).problem


def test_bench_takes_settings_and_options_before_them(shell: Shell) -> None:
    shell.configure('operations = "store"\nrepeats = 2\nsizes = [10, 9000]\nrepaets = 3\n')
    done = shell.bench("lmdb", "--repeats", "1", "--json", "-")
    assert (done.returncode, "there is no key repaets: did you mean repeats?" in done.stderr) == (0, True)
    plan = json.loads(done.stdout)["plan"]
    assert (plan["sizes"], plan["operations"], plan["repeats"]) == ([10], ["store"], 1)


def test_config_names_the_file_and_validates_it(shell: Shell) -> None:
    path = shell.call("config", "path").stdout.strip()
    assert "does not exist: the defaults are used" in shell.call("config", "validate").stdout
    shell.configure("bell = true\n")
    assert shell.call("config", "validate").stdout == f"{path} is right.\n"
    shell.configure("bell = 1\nrepeats = 0\n")
    wrong = shell.call("config", "validate", "--json")
    problems = json.loads(wrong.stdout)["problems"]
    assert (wrong.returncode, [text.rpartition("(")[2][:10] for text in problems]) == (2, ["line 1 of ", "line 2 of "])


async def test_terminal_follows_the_settings(tmp_path: Path) -> None:
    app = ImgstoreApp(tmp_path / "jobs", settings=settings_of(tmp_path, GOOD + "bel = 1\nrepeat = 1"))
    async with app.run_test(size=SMALL) as pilot:
        await until_text(pilot, "there is no key bel")
        assert (app.theme, frame(pilot).isascii()) == (LIGHT, True)
        app.workbench.show_dataset(facts(count=500_000))
        plan = app.workbench.draft.base
        assert (plan.sizes, plan.repeats, plan.work_dir) == ((10, 1000), 7, "/scratch/me")
        app.workbench.change(app.workbench.draft.changed(repeats=5, budget=None))
        await pilot.press("y")
        assert "--repeats 5" in app.clipboard
        assert "--budget ''" in app.clipboard
