"""What happens in a process of its own stays there: death, memory, time, files, and what the environment asks for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from backends.bench.child import Child, in_child
from backends.errors import Cancelled, ImgstoreError, NoSpace, UnclearLayout
from backends.images import Layout, Records, even_offsets
from backends.registry import make_backend


def end_by(number: int) -> None:
    os.kill(os.getpid(), number)


def take_memory(size: int) -> int:
    return len(np.ones(size, np.uint8))


def take_time(poll: Callable[[int], bool] = bool) -> None:
    poll(1)
    while True:
        pass


def write(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.write(b"x" * size)
        file.flush()


def variables() -> dict[str, str]:
    return dict(os.environ)


def refuse() -> None:
    raise UnclearLayout("several folders", {"a": 1, "b": 2})


def make_a_mistake() -> None:
    error = ValueError("ours")
    error.cannot = threading.Lock()  # type: ignore[attr-defined]  # and cannot be pickled
    raise error


@pytest.fixture(params=["fork", "server"])
def call(request: pytest.FixtureRequest) -> Callable[..., object]:
    """Calls ``in_child`` as a command does, whose process has one thread, and as a screen does, which has more."""

    def called(function: Callable[..., object], *arguments: object, **options: bool) -> object:
        if request.param == "fork":
            return in_child(function, *arguments, **options)  # type: ignore[arg-type]
        done = threading.Event()
        other = threading.Thread(target=done.wait)
        other.start()
        try:
            return in_child(function, *arguments, **options)  # type: ignore[arg-type]
        finally:
            done.set()
            other.join()

    return called


@pytest.mark.parametrize(
    ("number", "sentence"),
    [(signal.SIGSEGV, "died of SIGSEGV inside a library"), (signal.SIGKILL, "was killed")],
)
def test_death_is_a_sentence(call: Callable[..., object], number: int, sentence: str) -> None:
    with pytest.raises(ImgstoreError, match=f"the process that read it {sentence}"):
        call(end_by, number)


def test_results_and_errors_come_back_as_they_were(call: Callable[..., object]) -> None:
    assert call(take_memory, 3) == 3
    with pytest.raises(UnclearLayout, match="several folders") as raised:
        call(refuse)
    assert raised.value.choices == {"a": 1, "b": 2}
    with pytest.raises(RuntimeError, match="ValueError: ours"):
        call(make_a_mistake)


@pytest.mark.parametrize("bound", [True, False])
def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch, bound: bool) -> None:
    monkeypatch.setenv("IMGSTORE_MAX_PROCESS_MEMORY", "1G" if bound else "0")
    if bound:
        with pytest.raises(ImgstoreError, match=r"more than 1.00 GiB \(IMGSTORE_MAX_PROCESS_MEMORY allows more\)"):
            in_child(take_memory, 1 << 30)
    else:
        assert in_child(take_memory, 1 << 30) == 1 << 30


def test_time_to_open_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGSTORE_MAX_PROCESSOR_SECONDS", "1")
    with pytest.raises(ImgstoreError, match="more than 1 seconds of processor time"):
        in_child(take_time)


@pytest.mark.parametrize("opening", [True, False])
def test_files_that_opening_writes_are_bounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, opening: bool) -> None:
    monkeypatch.setenv("IMGSTORE_MAX_UNPACKED_BYTES", "1M")
    if opening:
        with pytest.raises(NoSpace, match="a file would be larger"):
            in_child(write, tmp_path / "large", 2 << 20, opening=True)
    else:
        in_child(write, tmp_path / "large", 2 << 20, opening=False)
        assert (tmp_path / "large").stat().st_size == 2 << 20


@pytest.mark.parametrize("child", [True, False])
def test_file_that_shrinks_while_it_is_mapped_ends_the_child_only(tmp_path: Path, child: bool) -> None:
    path = tmp_path / "store"
    with make_backend("lmdb").create(path, Layout(1000, "raw", (8, 8, 3), ())) as writer:
        writer.append(Records(np.zeros(192_000, np.uint8), even_offsets(1000, 192), np.arange(1000)))
    code = f"""
import os, sys
from pathlib import Path
import numpy as np
from backends.bench.child import in_child
from backends.registry import make_backend
from backends.errors import ImgstoreError

def read():
    with make_backend("lmdb").open(Path({str(path)!r})) as reader:
        os.truncate({str(path / "data.mdb")!r}, 16384)
        reader.read(np.array([900, 10, 800]))

try:
    {"in_child(read)" if child else "read()"}
except ImgstoreError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == (0 if child else -signal.SIGBUS), done.stderr
    assert ("died of SIGBUS inside a library" in done.stdout) == child


def test_variables_that_steer_libraries_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HDF5_PLUGIN_PATH", "SQLITE_TMPDIR", "ARROW_DEFAULT_MEMORY_POOL", "HDF5_USE_FILE_LOCKING", "TMPDIR"):
        monkeypatch.setenv(name, "/tmp")
    found = in_child(variables)
    assert not {"HDF5_PLUGIN_PATH", "SQLITE_TMPDIR", "ARROW_DEFAULT_MEMORY_POOL"} & found.keys()
    assert {"HDF5_USE_FILE_LOCKING", "TMPDIR"} <= found.keys()


def test_kept_object_is_asked_by_threads_and_ends_with_its_owner() -> None:
    with Child(np.arange, 100, keep=True) as child:
        found: list[int] = []
        threads = [threading.Thread(target=lambda at=at: found.append(int(child.ask("item", at)))) for at in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found) == list(range(20))
        with pytest.raises(IndexError):
            child.ask("item", 100)
        assert child.ask("sum") == 4950
        child.signal(signal.SIGKILL)
        with pytest.raises(ImgstoreError, match="was killed"):
            child.ask("sum")


def test_cancelling_ends_a_child_that_hangs() -> None:
    begin = time.monotonic()
    with pytest.raises(Cancelled):
        in_child(take_time, poll=lambda number: time.monotonic() > begin + 0.3)
    assert time.monotonic() - begin < 10


def test_what_was_printed_before_an_error_is_shown() -> None:
    code = """
from backends.bench.child import in_child
from backends.errors import ImgstoreError

def fail():
    print("so far")
    raise ImgstoreError("and no further")

try:
    in_child(fail)
except ImgstoreError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "so far\nand no further\n"
