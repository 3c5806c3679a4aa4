"""Results as files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backends.errors import NotAllowed
from backends.runs.run import write_file


def test_a_file_is_replaced_whole_and_a_link_stays_one(tmp_path: Path) -> None:
    file, link = tmp_path / ("n" * 250), tmp_path / "link"
    file.write_text("old")
    link.symlink_to(file)
    write_file(link, "new")
    assert (link.is_symlink(), file.read_text()) == (True, "new")
    assert {path.name for path in tmp_path.iterdir()} == {file.name, "link"}


def test_a_pipe_is_written_into_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_file(pipe, "text")
    assert os.read(reading, 10) == b"text"
    os.close(reading)
    assert pipe.is_fifo()


@pytest.mark.parametrize("name", ["n" * 300, "none/file"])
def test_what_cannot_be_written_is_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotAllowed, match="cannot be written"):
        write_file(tmp_path / name, "text")
    assert list(tmp_path.iterdir()) == []
