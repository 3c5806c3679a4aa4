"""The rules of ``backends.base`` as tests."""

from __future__ import annotations

import gc
import os
import pickle
import sys
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pytest

from backends.errors import ContainerDamaged
from backends.images import Images, Layout
from backends.registry import make_backend, make_codec
from backends.testing.batches import assert_same, encode, layout_of, make_images, read, store
from backends.testing.processes import (
    bytes_touched,
    die_while_writing,
    in_child,
    is_out_of_space,
    is_refused,
    read_everything,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backends.base import Backend

KINDS = [("raw", False), ("raw", True), ("png", False), ("png", True), ("source", True)]
EVERY_KIND = pytest.mark.parametrize(("codec", "mixed"), KINDS, ids=["raw", "raw-mixed", "png", "png-mixed", "source"])


class BackendTests:
    """What a backend promises.  A subclass names it, and pytest runs the suite.

    Attributes
    ----------
    backend
        Name of the backend in the registry.
    plain_codec
        The codec whose records ``plain_read`` understands.
    """

    backend: ClassVar[str]
    plain_codec: ClassVar[str] = "raw"

    def plain_read(self, path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """All images and labels, read by the plain library, without a line of the code under test."""
        raise NotImplementedError

    def pixel_file(self, path: Path) -> Path:
        """The file of a container in which its (last) pixels are: the largest, unless a backend knows better."""
        return max([path, *path.rglob("*")], key=lambda file: file.stat().st_size if file.is_file() else -1)

    @pytest.fixture
    def subject(self) -> Backend:
        """The backend under test."""
        return make_backend(self.backend)

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        """Where a container goes: its folder is there, and it is not."""
        return tmp_path / "parent" / "container"

    @pytest.fixture(autouse=True)
    def _parent(self, path: Path) -> None:
        path.parent.mkdir()

    # What was stored is what is read.

    @pytest.mark.parametrize("channels", [1, 3, 4])
    @EVERY_KIND
    def test_images_come_back_in_order(
        self, subject: Backend, path: Path, codec: str, mixed: bool, channels: int
    ) -> None:
        images = make_images(30, channels=channels, mixed=mixed)
        store(subject, path, images, layout_of(images, codec))
        with subject.open(path) as reader:
            assert reader.layout == layout_of(images, codec)
            assert_same(read(reader), images)

    @pytest.mark.parametrize("count", [0, 1])
    @EVERY_KIND
    def test_containers_of_no_image_and_of_one(
        self, subject: Backend, path: Path, codec: str, mixed: bool, count: int
    ) -> None:
        images = make_images(count, mixed=mixed)
        store(subject, path, images, layout_of(images, codec))
        with subject.open(path) as reader:
            for key in (slice(None), np.arange(count), np.empty(0, np.int64)):
                assert_same(read(reader, key), images, np.arange(count)[key])

    def test_more_images_than_a_batch_or_a_folder_has(self, subject: Backend, path: Path) -> None:
        images = make_images(2_050, side=3)
        store(subject, path, images, layout_of(images, "raw"), batch=1_024)
        with subject.open(path) as reader:
            assert_same(read(reader, np.array([0, 999, 1_000, 2_049])), images, np.array([0, 999, 1_000, 2_049]))

    @EVERY_KIND
    def test_batches_may_be_views_of_larger_buffers_and_empty(
        self, subject: Backend, path: Path, codec: str, mixed: bool
    ) -> None:
        images = make_images(9, mixed=mixed)
        records = encode(images, codec)
        with subject.create(path, layout_of(images, codec)) as writer:
            for some in (slice(0, 4), slice(4, 4), slice(4, 9)):
                shapes = None if records.shapes is None else records.shapes[some]
                ends = records.offsets[some.start : some.stop + 1]
                writer.append(type(records)(records.data, ends, records.labels[some], shapes))
        with subject.open(path) as reader:
            assert_same(read(reader), images)

    @pytest.mark.parametrize("mixed", [False, True])
    @pytest.mark.parametrize("codec", ["source", "jpeg"])
    def test_records_come_back_byte_for_byte(self, subject: Backend, path: Path, codec: str, mixed: bool) -> None:
        images = make_images(30, mixed=mixed)
        records = encode(images, codec)
        store(subject, path, images, layout_of(images, codec))
        with subject.open(path) as reader:
            for rows in (np.arange(30), np.array([29, 3, 3])):
                found = reader.read(rows)
                wanted = [records.record(row).tobytes() for row in rows.tolist()]
                assert [found.record(index).tobytes() for index in range(len(rows))] == wanted
                np.testing.assert_array_equal(found.labels, images.labels[rows])

    def test_plain_library_reads_it(self, subject: Backend, path: Path) -> None:
        images = make_images(1_003, side=4)
        store(subject, path, images, layout_of(images, self.plain_codec, ("cat", "dog")))
        pixels, labels = self.plain_read(path)
        assert_same(Images(pixels, labels), images)

    # Keys.

    @pytest.mark.parametrize(
        "key",
        [
            slice(3, 17),
            slice(2, 30, 5),
            slice(None, None, -1),
            slice(-4, 1_000),
            slice(9, 4),
            np.array([5, 5, 29, 0, 5]),
            np.array([-1, -30, 7]),
            np.array([1, 2], np.uint8),
        ],
        ids=str,
    )
    @EVERY_KIND
    def test_keys_read_like_those_of_an_array(
        self, subject: Backend, path: Path, codec: str, mixed: bool, key: slice | NDArray[np.int64]
    ) -> None:
        images = make_images(30, mixed=mixed)
        store(subject, path, images, layout_of(images, codec))
        with subject.open(path) as reader:
            assert_same(read(reader, key), images, np.arange(30)[key])

    @pytest.mark.parametrize("row", [30, -31, 2**40])
    def test_rows_outside_are_refused(self, subject: Backend, path: Path, row: int) -> None:
        images = make_images(30)
        store(subject, path, images, layout_of(images, "raw"))
        with subject.open(path) as reader, pytest.raises(IndexError, match=str(row)):
            reader.read(np.array([0, row]))

    @pytest.mark.parametrize("key", [slice(4, 24), np.array([8, 3, 3, 20])], ids=["slice", "rows"])
    def test_out_is_filled_and_returned(self, subject: Backend, path: Path, key: slice | NDArray[np.int64]) -> None:
        images = make_images(30)
        layout = layout_of(images, "raw")
        store(subject, path, images, layout)
        rows = np.arange(30)[key]
        out = np.zeros((len(rows), layout.record_bytes or 0), np.uint8)
        with subject.open(path) as reader:
            records = reader.read(key, out)
        assert np.shares_memory(records.data, out)
        assert_same(make_codec("raw").decode(records, layout), images, rows)

    @pytest.mark.parametrize("shape", [(29, 468), (30, 467), (30 * 468,)])
    def test_out_of_a_wrong_shape_is_refused(self, subject: Backend, path: Path, shape: tuple[int, ...]) -> None:
        images = make_images(30)
        store(subject, path, images, layout_of(images, "raw"))
        with subject.open(path) as reader, pytest.raises(ValueError, match="out"):
            reader.read(slice(None), np.empty(shape, np.uint8))

    # Labels and classes.

    def test_labels_and_class_names_keep_every_bit(self, subject: Backend, path: Path) -> None:
        classes = tuple(f"класс {number} 猫\n'\"," for number in range(1_000))
        labels = np.array([-1, 0, 255, 256, 999, 2**40, -(2**63)])
        images = Images(make_images(7).pixels, labels)
        store(subject, path, images, layout_of(images, "raw", classes))
        with subject.open(path) as reader:
            assert reader.layout.classes == classes
            assert reader.labels.dtype == np.int64
            np.testing.assert_array_equal(reader.labels, labels)

    @pytest.mark.skipif(sys.platform != "linux", reason="/proc/self/io and page faults count what is read")
    def test_labels_touch_no_image(self, subject: Backend, path: Path) -> None:
        images = make_images(160, side=256)
        store(subject, path, images, layout_of(images, "raw"))
        with subject.open(path) as reader:
            before = bytes_touched()
            assert len(reader.labels) == 160
            by_labels = bytes_touched() - before
            reader.read(slice(None))
            by_images = bytes_touched() - before - by_labels
        assert by_labels < 160 * 256 * 257 * 3 // 100
        assert by_images > 10 * max(by_labels, 1 << 16), "the measure itself sees what is read"

    # Readers.

    @EVERY_KIND
    def test_two_readers_at_once(self, subject: Backend, path: Path, codec: str, mixed: bool) -> None:
        images = make_images(30, mixed=mixed)
        store(subject, path, images, layout_of(images, codec))
        first, second = subject.open(path), subject.open(path)
        assert_same(read(first, slice(0, 9)), images, np.arange(9))
        assert_same(read(second, slice(9, 30)), images, np.arange(9, 30))
        first.close()
        assert_same(read(second), images)
        second.close()

    def test_a_closed_reader_closes_again_and_reads_again(self, subject: Backend, path: Path) -> None:
        images = make_images(30)
        store(subject, path, images, layout_of(images, "raw"))
        reader = subject.open(path)
        for key in (slice(None), np.array([2, 1])):
            reader.close()
            reader.close()
            assert_same(read(reader, key), images, np.arange(30)[key])
        reader.close()

    @pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="/dev/fd lists what is open")
    def test_a_forgotten_reader_leaves_nothing_open(self, subject: Backend, path: Path) -> None:
        images = make_images(30)
        store(subject, path, images, layout_of(images, "raw"))
        gc.collect()
        before = len(list(Path("/dev/fd").iterdir()))
        reader = subject.open(path)
        assert_same(read(reader, np.array([2, 1])), images, np.array([2, 1]))
        assert len(list(Path("/dev/fd").iterdir())) > before
        del reader
        gc.collect()
        assert len(list(Path("/dev/fd").iterdir())) == before

    def test_a_reader_survives_pickling(self, subject: Backend, path: Path) -> None:
        images = make_images(30)
        store(subject, path, images, layout_of(images, "raw"))
        with subject.open(path) as reader:
            read(reader, np.array([1]))
            with pickle.loads(pickle.dumps(reader)) as copy:
                assert_same(read(copy), images)

    @pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
    @pytest.mark.parametrize(
        ("method", "codec", "mixed"), [*(("fork", *kind) for kind in KINDS), *(("spawn", *kind) for kind in KINDS[:2])]
    )
    def test_a_reader_works_in_a_child_and_goes_on_in_its_parent(
        self, subject: Backend, path: Path, codec: str, mixed: bool, method: str
    ) -> None:
        images = make_images(30, mixed=mixed)
        store(subject, path, images, layout_of(images, codec))
        with subject.open(path) as reader:
            read(reader, np.array([1]))
            code, found = in_child(method, read_everything, reader)
            assert code == 0
            assert_same(found, images)
            assert_same(read(reader), images)

    def test_reading_leaves_nothing_behind(self, subject: Backend, path: Path) -> None:
        images = make_images(30)
        store(subject, path, images, layout_of(images, "raw"))
        before = [(file, file.stat().st_mtime_ns, file.stat().st_size) for file in sorted(path.parent.rglob("*"))]
        with subject.open(path) as reader:
            read(reader)
            during = sorted(path.parent.rglob("*"))
        after = [(file, file.stat().st_mtime_ns, file.stat().st_size) for file in sorted(path.parent.rglob("*"))]
        assert during == [file for file, _, _ in before]
        assert after == before

    # Writers.

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

    # Containers that are none, or no longer.

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
