"""Writers: nothing is left of what was not finished, and containers that are none are refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backends.errors import ContainerDamaged
from backends.images import Images, Layout
from backends.registry import make_codec
from backends.testing.batches import assert_same, encode, layout_of, make_images, read, store
from backends.testing.processes import die_while_writing, in_child, is_out_of_space, is_refused
from backends.testing.subject import EVERY_KIND, Subject

if TYPE_CHECKING:
    from backends.base import Backend


class Writers(Subject):
    """The end of a writer, and what it leaves."""

    def test_a_path_that_exists_is_refused_and_kept(self, subject: Backend, path: Path) -> None:
        path.write_text("mine")
        with pytest.raises(FileExistsError):
            subject.create(path, Layout(0, "raw", (1, 1, 1)))
        assert path.read_text() == "mine"
        path.unlink()
        path.mkdir()
        with pytest.raises(FileExistsError):
            subject.create(path, Layout(0, "raw", (1, 1, 1)))
        assert list(path.iterdir()) == []

    @EVERY_KIND
    @pytest.mark.parametrize("count", [8, 10])
    def test_a_wrong_count_is_refused_and_leaves_nothing(
        self, subject: Backend, path: Path, codec: str, mixed: bool, count: int
    ) -> None:
        images = make_images(9, mixed=mixed)
        layout = layout_of(images, codec)
        with pytest.raises(ValueError, match="9"):
            store(subject, path, images, Layout(count, codec, layout.image_shape))
        assert list(path.parent.iterdir()) == []

    @EVERY_KIND
    def test_an_exception_leaves_nothing_under_the_final_name(
        self, subject: Backend, path: Path, codec: str, mixed: bool
    ) -> None:
        images = make_images(9, mixed=mixed)

        def interrupted() -> None:
            with subject.create(path, layout_of(images, codec)) as writer:
                writer.append(encode(Images(images.pixels[:5], images.labels[:5]), codec))
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert list(path.parent.iterdir()) == []

    def test_a_closed_writer_closes_again_and_can_still_abort(self, subject: Backend, path: Path) -> None:
        images = make_images(9)
        writer = subject.create(path, layout_of(images, "raw"))
        writer.append(make_codec("raw").encode(images))
        writer.close()
        writer.close()
        with subject.open(path) as reader:
            assert_same(read(reader), images)
        writer.abort()
        writer.abort()
        assert list(path.parent.iterdir()) == []

    @pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
    @pytest.mark.parametrize("part", [0.01, 0.5, 0.9999])
    def test_a_full_disk_is_an_oserror_and_leaves_nothing(
        self, subject: Backend, path: Path, tmp_path: Path, part: float
    ) -> None:
        images = make_images(30, side=64)
        layout = layout_of(images, "raw")
        store(subject, tmp_path / "whole", images, layout)
        limit = int(self.pixel_file(tmp_path / "whole").stat().st_size * part)
        assert in_child("fork", is_out_of_space, subject, path, images, layout, limit) == (0, True)
        assert list(path.parent.iterdir()) == []

    def test_a_missing_container_is_reported_as_such(self, subject: Backend, path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            subject.open(path)

    def test_what_is_no_container_is_refused(self, subject: Backend, path: Path) -> None:
        path.mkdir()
        with pytest.raises(ContainerDamaged):
            subject.open(path)
        path.rmdir()
        for content in (b"", b"text", os.urandom(9_000)):
            path.write_bytes(content)
            with pytest.raises(ContainerDamaged):
                subject.open(path)

    @pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
    @EVERY_KIND
    def test_what_a_killed_writer_leaves_is_refused(
        self, subject: Backend, path: Path, codec: str, mixed: bool
    ) -> None:
        images = make_images(9, mixed=mixed)
        code, _ = in_child("fork", die_while_writing, subject, path, images, layout_of(images, codec))
        assert code == 9
        assert path.exists()
        with pytest.raises(ContainerDamaged):
            subject.open(path)

    @pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
    @pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9, 0.999])
    @EVERY_KIND
    def test_a_cut_container_is_refused_and_never_a_crash(
        self, subject: Backend, path: Path, codec: str, mixed: bool, part: float
    ) -> None:
        images = make_images(9, mixed=mixed, side=60)
        store(subject, path, images, layout_of(images, codec))
        assert in_child("fork", is_refused, subject, path) == (0, False)
        file = self.pixel_file(path)
        os.truncate(file, int(file.stat().st_size * part))
        assert in_child("fork", is_refused, subject, path) == (0, True)
