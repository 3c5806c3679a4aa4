"""The commands that make, check and show a store, as a shell sees them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.tui.test_cli import PROGRAM
from tui.cli import main

pytestmark = pytest.mark.slow


def call(*words: object, code: int = 0) -> tuple[str, str]:
    """Run the program; its standard output and error once it has ended with this exit code."""
    done = subprocess.run(
        [PROGRAM, *map(str, words)], capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environment()
    )
    assert done.returncode == code, done.stderr
    assert not {"Traceback", "leaked"} & {*done.stderr.split()}
    return done.stdout, done.stderr


def environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C.UTF-8"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of the sample in four shards; do not write into it."""
    folder = tmp_path_factory.mktemp("stores") / "store"
    output, narration = call("convert", "sample", folder, "lmdb+png", "--shard-images", 500)
    assert "2,000 images (train 2,000) in 4 shards of lmdb+png" in output
    assert "lossless" in output
    assert "4 shards, about" in narration
    assert "inodes" in narration
    return folder


def test_store_is_shown_and_checked(store: Path, tmp_path: Path) -> None:
    assert "nothing is damaged (full)" in call("verify", store)[0]
    assert "not decoded 0   duplicates 0" in call("info", store)[0]
    facts = json.loads(call("info", store, "--json")[0])
    assert (facts["images"], facts["backend"], facts["not_decoded"]) == (2000, "lmdb", [])
    shown = call("show", store, 1234, "--save", tmp_path / "image.png")[0]
    for part in ("shards/00002.lmdb", "234 of 500 in the shard", "train", "class   ship", "32×32×3"):
        assert part in shown
    image = json.loads(call("show", store, 1234, "--json")[0])
    assert (image["shard"], image["row"], image["label"], image["shape"]) == ("shards/00002.lmdb", 234, 8, [32, 32, 3])
    with Image.open(tmp_path / "image.png") as picture:
        assert picture.size == (32, 32)
    assert "name one from 0 to 1,999" in call("show", store, 2000, code=2)[1]
    assert "is no store" in call("verify", tmp_path, code=1)[1]


def test_damage_is_exit_code_3_and_is_mended(store: Path, tmp_path: Path) -> None:
    subprocess.run(["cp", "-r", store, tmp_path / "copy"], check=True)
    with (
        next((tmp_path / "copy/shards/00001.lmdb").rglob("*")).open("r+b")
        if (tmp_path / "copy/shards/00001.lmdb").is_dir()
        else (tmp_path / "copy/shards/00001.lmdb").open("r+b") as file
    ):
        file.seek(200_000)
        file.write(b"\xff" * 64)
    found = json.loads(call("verify", tmp_path / "copy", "--json", code=3)[0])["findings"]
    assert {finding["path"] for finding in found} == {"shards/00001.lmdb"}
    output, remedy = call("verify", tmp_path / "copy", code=3)
    assert output.startswith("shards/00001.lmdb")
    assert "verify --repair" in remedy
    assert "Made again: shards/00001.lmdb; 0 findings are left" in call("verify", tmp_path / "copy", "--repair")[1]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("", "name DATASET, DEST and CONFIG"),
        ("sample DEST", "name DATASET, DEST and CONFIG"),
        ("sample DEST zip", "there is no backend 'zip'"),
        ("sample DEST lmdb --part 5/4", "'5/4' is no part"),
        ("sample DEST lmdb --shard-bytes few", "'few' is not an amount of bytes"),
        ("sample DEST lmdb --split dev", "no split 'dev'"),
        ("sample DEST lmdb --dask tcp://127.0.0.1:1", "no Dask scheduler answers at tcp://127.0.0.1:1"),
        ("sample DEST --finish DEST", "takes nothing else"),
        ("--finish DEST", "holds no conversion to finish"),
        ("sample STORE lmdb+png --shard-images 500", "is a store already"),
        ("sample STORE hdf5 --resume", "is a store of other options"),
    ],
)
def test_wrong_use_is_one_sentence(
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: str,
    sentence: str,
) -> None:
    places = {"DEST": str(tmp_path / "new"), "STORE": str(store)}
    monkeypatch.setattr(sys, "argv", ["imgstore-tui", "convert", *(places.get(word, word) for word in words.split())])
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)  # of the program, not of pytest
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err
    assert not list((tmp_path / "new").glob("*"))


def test_resume_of_a_missing_and_of_a_complete_store_succeeds(tmp_path: Path) -> None:
    words = ("convert", "sample", tmp_path / "store", "npy", "--resume")
    assert call(*words)[0] == call(*words)[0]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_signal_ends_it_with_the_command_that_goes_on(tmp_path: Path, number: int, code: int) -> None:
    words = ["convert", "sample", str(tmp_path / "store"), "npy+png:level=9", "--shard-images", "20"]
    with subprocess.Popen([PROGRAM, *words], stderr=subprocess.PIPE, text=True, env=environment()) as process:
        while not (tmp_path / "store/sealed/00001.npz").exists():
            assert process.poll() is None
        process.send_signal(number)
        _, said = process.communicate()
    assert process.returncode == code
    assert f"Go on with: imgstore-tui {' '.join(words)} --resume" in said
    assert not (tmp_path / "store/imgstore.json").exists()
    if number == signal.SIGTERM:
        assert "2,000 images (train 2,000) in 100 shards" in call(*words, "--resume")[0]


def test_sbatch_writes_a_script_that_is_whole(tmp_path: Path) -> None:
    script = tmp_path / "it's.sbatch"
    words = ("convert", "sample", tmp_path / "a store", "hdf5", "--shard-images", 1000, "--workers", 1)
    narration = call(*words, "--sbatch", script)[1]
    assert f"sbatch '{str(script)[: -len('it' + chr(39) + 's.sbatch')]}" in narration
    assert not (tmp_path / "a store").exists()
    text = script.read_text()
    assert "#SBATCH --array=1-2\n" in text
    for number in (1, 2):  # as Slurm does
        subprocess.run(
            ["bash", script], check=True, env=environment() | {"SLURM_ARRAY_TASK_ID": str(number)}, capture_output=True
        )
    assert "2 shards of hdf5+raw" in call("info", tmp_path / "a store")[0]
