"""Tests of writers: an unfinished container leaves nothing, and one that is damaged is refused."""

from __future__ import annotations

import os
import resource
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backends.errors import ContainerDamaged
from backends.images import Images
from backends.testing.readers import in_child, is_refused
from backends.testing.subject import Container, Subject, assert_same, encode, every_kind, read, store


class Writers(Subject):
    """Tests of how writers finish, abort and fail."""

    def test_a_path_that_exists_is_refused_and_kept(self, container: Container) -> None:
        path, layout = container.path, container.layout(container.images(1))
        path.write_text("mine")
        with pytest.raises(FileExistsError):
            container.backend.create(path, layout)
        assert path.read_text() == "mine"
        path.unlink()
        path.mkdir()
        with pytest.raises(FileExistsError):
            container.backend.create(path, layout)
        assert container.files() == [path]

    @every_kind
    @pytest.mark.parametrize("count", [8, 10])
    def test_wrong_count_is_refused_and_leaves_nothing(self, container: Container, count: int) -> None:
        images = container.images(9)
        layout = replace(container.layout(images), count=count)
        with pytest.raises(ValueError, match="9"):
            store(container.backend, container.path, images, layout)
        assert container.files() == []

    @every_kind
    def test_an_exception_leaves_nothing_under_the_final_name(self, container: Container) -> None:
        with pytest.raises(KeyboardInterrupt), container.begin(container.images(9), stored=5):
            raise KeyboardInterrupt
        assert container.files() == []

    def test_a_closed_writer_closes_again_and_can_still_abort(self, container: Container) -> None:
        images = container.images(9)
        writer = container.begin(images, stored=9)
        writer.close()
        writer.close()
        with container.open() as reader:
            assert_same(read(reader), images)
        writer.abort()
        writer.abort()
        assert container.files() == []

    def test_aborted_writer_writes_into_no_other_open_file(self, container: Container, tmp_path: Path) -> None:
        images = container.images(30, side=200)
        writer = container.begin(images, stored=2)
        writer.abort()
        others = [(tmp_path / str(number)).open("wb") for number in range(5)]  # they take the lowest descriptors
        with pytest.raises(ValueError, match="aborted"):
            writer.append(encode(Images(images.pixels[2:], images.labels[2:]), container.codec))
        for other in others:
            other.close()
            assert not Path(other.name).read_bytes()

    @every_kind
    def test_appended_arrays_may_be_overwritten(self, container: Container) -> None:
        images = container.images()
        with container.begin(images, stored=0) as writer:
            for start in range(0, 30, 7):
                some = slice(start, start + 7)
                some_images = Images(images.pixels[some], images.labels[some])
                records = deepcopy(encode(some_images, container.codec))
                writer.append(records)
                for part in (records.data, records.offsets, records.labels, records.shapes):
                    if part is not None:
                        part.fill(0)
        with container.open() as reader:
            assert_same(read(reader), images)

    @pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
    @pytest.mark.parametrize("part", [0.01, 0.5, 0.9999])
    def test_full_disk_raises_oserror_and_leaves_nothing(
        self, container: Container, tmp_path: Path, part: float
    ) -> None:
        (tmp_path / "whole").mkdir()
        whole = replace(container, path=tmp_path / "whole" / "container")
        images = whole.store(whole.images(side=64))
        limit = int(whole.pixel_file().stat().st_size * part)

        def store_in_little_space() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            with pytest.raises(OSError, match=r".+"):
                container.store(images)

        assert in_child("fork", store_in_little_space) == (0, None)
        assert container.files() == []

    def test_a_missing_container_is_reported_as_such(self, container: Container) -> None:
        with pytest.raises(FileNotFoundError):
            container.open()

    def test_path_without_container_is_refused(self, container: Container) -> None:
        container.path.mkdir()
        with pytest.raises(ContainerDamaged):
            container.open()
        container.path.rmdir()
        for content in (b"", b"text", os.urandom(9_000)):
            container.path.write_bytes(content)
            with pytest.raises(ContainerDamaged):
                container.open()

    @pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
    @every_kind
    def test_container_of_killed_writer_is_refused(self, container: Container) -> None:
        def die_while_writing() -> None:
            _writer = container.begin(container.images(9), stored=9)  # kept, as one that is let go may flush
            os._exit(9)

        assert in_child("fork", die_while_writing) == (9, None)
        assert container.path.exists()
        with pytest.raises(ContainerDamaged):
            container.open()

    @every_kind
    def test_missing_piece_is_refused_and_never_made_up(self, container: Container) -> None:
        images = container.store(container.images(9))
        refused = []
        for piece in filter(Path.is_file, container.files()):
            with container.open() as opened_before:
                piece.rename(container.path.parent.parent / "away")
                for reopen in (False, True):
                    try:
                        with container.open() if reopen else opened_before as reader:
                            assert_same(read(reader), images)
                            np.testing.assert_array_equal(reader.labels, images.labels)
                    except (ContainerDamaged, FileNotFoundError):
                        refused += [piece] * reopen
            (container.path.parent.parent / "away").rename(piece)
        assert container.pixel_file() in refused

    @pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
    @pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9, 0.999])
    @every_kind
    def test_cut_container_is_refused_without_crash(self, container: Container, part: float) -> None:
        container.store(container.images(9, side=60))
        assert in_child("fork", is_refused, container.backend, container.path) == (0, False)
        file = container.pixel_file()
        os.truncate(file, int(file.stat().st_size * part))
        assert in_child("fork", is_refused, container.backend, container.path) == (0, True)
