"""CIFAR batches unpickle in every protocol; hostile pickles run nothing and take little memory."""

from __future__ import annotations

import pickle
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backends.datasets.cifar import CIFAR10, read_batch
from backends.datasets.unpickler import BadPickle, unpickle
from backends.images import Images
from tests.backends.datasets import pickles

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def images(sample_images: Images) -> Images:
    return Images(sample_images.pixels[:60], sample_images.labels[:60])


@pytest.fixture(scope="module")
def two(sample_images: Images) -> Images:
    return Images(sample_images.pixels[:2], sample_images.labels[:2])


def pickled_again(data: bytes, protocol: int | None, encoding: str = "bytes") -> bytes:
    return data if protocol is None else pickle.dumps(pickle.loads(data, encoding=encoding), protocol)


def assert_same(data: bytes, images: Images) -> None:
    labels, planes, _ = read_batch(data, CIFAR10)
    np.testing.assert_array_equal(planes, pickles.planar(images))
    np.testing.assert_array_equal(labels, images.labels)
    assert (str(planes.dtype), str(labels.dtype)) == ("uint8", "int64")


@pytest.mark.parametrize("encoding", ["bytes", "latin1"])
@pytest.mark.parametrize("numpy_1", [False, True], ids=["numpy2", "numpy1"])
@pytest.mark.parametrize("protocol", [None, *range(6)])
def test_batch_of_python_2_or_pickled_again_loads(
    images: Images, protocol: int | None, numpy_1: bool, encoding: str
) -> None:
    data = pickled_again(pickles.batch(images), protocol, encoding)
    if numpy_1 and protocol is not None:
        assert b"numpy._core" in data
        data = data.replace(b"numpy._core", b"numpy.core")  # and the length before it, from protocol 4 on
        data = data.replace(b"\x16numpy.core.multiarray", b"\x15numpy.core.multiarray")
        data = data.replace(b"\x13numpy.core.numeric", b"\x12numpy.core.numeric")
    assert_same(data, images)


@pytest.mark.parametrize("protocol", [0, 2])
def test_pixels_as_text_load_across_pieces(sample_images: Images, protocol: int) -> None:
    many = Images(np.concatenate([sample_images.pixels] * 3), np.concatenate([sample_images.labels] * 3))
    data = pickled_again(pickles.batch(many), protocol)
    assert len(data) > 2 << 20
    assert_same(data, many)


def test_python_2_text_protocol_loads(images: Images) -> None:
    planes = pickles.planar(images)
    data = (
        b"(dp0\nS'labels'\np1\n(lp2\n"
        + b"".join(b"I%d\na" % label for label in images.labels)
        + b"sS'data'\np3\ncnumpy.core.multiarray\n_reconstruct\np4\n(cnumpy\nndarray\np5\n(I0\ntp6\n"
        + b"S'b'\np7\ntp8\nRp9\n"
        + b"(I1\n(L%dL\nI3072\ntp10\ncnumpy\ndtype\np11\n(S'u1'\np12\nI0\nI1\ntp13\nRp14\n" % len(planes)
        + b"(I3\nS'|'\np15\nNNNI-1\nI-1\nI0\ntp16\nbI00\nS"
        + repr(planes.tobytes())[1:].encode()
        + b"\np17\ntp18\nbs."
    )
    assert_same(data, images)


HOSTILE = {
    "os.system": (b"cos\nsystem\n(S'touch CANARY'\ntR.", "asks for os.system"),
    "eval": (b'c__builtin__\neval\n(S\'open("CANARY", "w")\'\ntR.', "asks for __builtin__.eval"),
    "INST": (b"(S'touch CANARY'\nios\nsystem\n.", "instruction 0x69"),
    "OBJ": (b"(cos\nsystem\nS'touch CANARY'\no.", "instruction 0x6f"),
    "STACK_GLOBAL": (b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x0ctouch CANARY\x85R.", "asks for os.system"),
    "dotted": (
        b"\x80\x04\x8c\x07tarfile\x8c\x09os.system\x93\x8c\x0ctouch CANARY\x85R.",
        "asks for tarfile.os.system",
    ),
    "NEWOBJ": (b"\x80\x02csubprocess\nPopen\n(S'touch'\nlp0\n\x85\x81.", "instruction 0x81"),
    "numpy gadget": (
        b'cnumpy.f2py.crackfortran\ngetlincoef\n(S\'open("CANARY", "w")\'\n(dtR.',
        "asks for numpy.f2py.crackfortran.getlincoef",
    ),
    "numpy builtins": (b"cnumpy\nsize\n.", "asks for numpy.size"),
    "inside a batch": (
        pickles.dictionary({"labels": pickles.items([]), "data": b"cos\nsystem\n(S'touch CANARY'\ntR"}),
        "asks for os.system",
    ),
    "escape sequence": (b"cos\n\x1b]0;x\x07\n.", r"asks for os.\x1b]0;x\x07"),
    "persistent id": (b"}Pany\n.", "instruction 0x50"),
    "extension code": (b"}\x82\x01.", "instruction 0x82"),
    "foreign state": (b"}}b.", "is broken ('_Dictionary' object has no attribute"),
    "unknown call": (b"})R.", "is broken ('_Dictionary' object is not callable)"),
    "set_state of a mark": (b"cnumpy\ndtype\n(tb.", "changes something other"),
    "state of a function": (b"cnumpy\nndarray\n}b.", "changes something other"),
    "tuple as key": (b"})Ns.", "a dictionary key that is not a string"),
}


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pickle_is_refused_and_runs_nothing(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, reason = HOSTILE[name]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadPickle) as refused:
        unpickle(data)
    assert reason in str(refused.value)
    assert str(refused.value).isprintable()
    assert not (tmp_path / "CANARY").exists()
    if b"CANARY" in data:
        with suppress(TypeError):  # of int(open(...)), after the deed
            pickle.loads(data)
        assert (tmp_path / "CANARY").exists(), "the stock unpickler runs it"


def array(raw: bytes = bytes(2 * 3072), shape: tuple[int, ...] = (2, 3072), **more: Any) -> dict[str, bytes]:
    return {"data": pickles.array(raw, shape, **more)}


@pytest.mark.parametrize(
    ("replaced", "reason"),
    [
        (array(shape=(10**9, 3072)), "has 6,144 bytes of pixels, which its shape contradicts"),
        (array(shape=(-2, 3072)), "which its shape contradicts"),
        (array(bytes(6143)), "has 6,143 bytes of pixels"),
        (array(shape=(1,) * 65), "pixels are not of shape"),
        (array(shape=(2, 32, 96)), "pixels are not of shape"),
        ({"data": b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\0tU\x01btR"}, "pixels are not of shape"),
        (array(dtype="O"), "type 'O' for pixels instead of bytes"),
        (array(dtype="i4"), "type 'i4' for pixels instead of bytes"),
        (array(order=b"I01\n"), "column by column"),
        (array(shape=(0, 3072), raw=b"") | {"labels": b"]"}, "holds no images"),
        ({"data": b"N"}, "has no data"),
        ({"labels": b"N"}, "has no labels"),
        ({"labels": b"](K\x01e"}, "2 images and 1 labels"),
        ({"labels": b"](K\x01K\x0ae"}, "not one of the 10 classes"),
        ({"labels": b"](K\x01J\xff\xff\xff\xffe"}, "not one of the 10 classes"),
        ({"labels": b"](K\x01\x88e"}, "not one of the 10 classes"),
        ({"labels": b"](K\x01\x8a\xff" + b"\x7f" * 255 + b"e"}, "not one of the 10 classes"),
        ({"labels": b"](K\x01I" + b"9" * 5000 + b"\ne"}, "5,000 characters"),
    ],
)
def test_batch_whose_parts_do_not_fit_is_refused(two: Images, replaced: dict[str, bytes], reason: str) -> None:
    with pytest.raises(BadPickle, match=reason):
        read_batch(pickles.batch(two, replaced=replaced), CIFAR10)


@pytest.mark.parametrize("protocol", [None, 0, 4])
def test_batch_cut_at_any_byte_is_refused(two: Images, protocol: int | None) -> None:
    data = pickled_again(pickles.batch(two), protocol)
    for size in range(len(data)):
        with pytest.raises(BadPickle):
            read_batch(data[:size], CIFAR10)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_mutated_batch_loads_or_is_refused(two: Images, data: st.DataObject) -> None:
    protocol = data.draw(st.sampled_from([None, 0, 2, 4, 5]))
    mutated = bytearray(pickled_again(pickles.batch(two), protocol))
    outside = [at for at in range(len(mutated)) if at < 400 or at > len(mutated) - 400]  # mostly pixels between
    for at in data.draw(st.lists(st.sampled_from(outside), min_size=1, max_size=4)):
        mutated[at] = data.draw(st.integers(0, 255))
    with suppress(BadPickle):
        labels, planes, _ = read_batch(bytes(mutated), CIFAR10)
        assert planes.shape == (len(labels), 3072)


MANY = 10_000_000
BOMBS = {
    "memo index": r"b'\x80\x02Nr\x00\x00\x80\x00.'",
    "largest memo index": r"b'\x80\x02Nr\xff\xff\xff\xff.'",
    "BINBYTES8": r"b'\x80\x04\x8e' + bytes(7) + b'\x10'",
    "BINUNICODE8": r"b'\x80\x04\x8d' + bytes(7) + b'\x10'",
    "BYTEARRAY8": r"b'\x80\x05\x96' + bytes(7) + b'\x10'",
    "marks": f"b'(' * {MANY}",
    "values": f"b'N' * {MANY}",
    "lists": f"b']' * {MANY}",
    "dictionaries": f"b'}}' * {MANY}",
    "memo": rf"b'N' + b'\x94' * {MANY}",
    "nested tuples": rf"b')' + b'\x85' * {MANY}",
    "nested tuples as key": r"b'})' + b'\x85' * 80_000 + b'Ns.' + bytes(10_000_000)",
    "items": f"b']' + b'Na' * {MANY}",
    "keys": rf"b'}}' + b''.join(b'S\'%d\'\nNs' % number for number in range({MANY // 10}))",
    "digits": rf"b'I' + b'9' * {MANY} + b'\n.'",
    "wide text": f"b'X' + ({2 * MANY} + 4).to_bytes(4, 'little') + b'a' * {2 * MANY} + '\U0001f600'.encode() + b'.'",
    "escapes": rf"b'S\'' + b'\\' * {MANY + 1} + b'q\'\n.'",
    "short strings": f"b'(' + (b'U' + bytes([255]) + b'x' * 255) * {20 * MANY // 257}",
    "encoded again and again": (
        r"b'\x80\x02c_codecs\nencode\nq\x00X\x00\x00\x10\x00' + b'a' * (1 << 20) + b'q\x01' "
        r"+ b'h\x00h\x01X\x06\x00\x00\x00latin1\x86R' * 300 + b'.'"
    ),
}
"""Expressions, so that a fresh process makes the bytes."""

CHILD = r"""
import pickle
import re
from pathlib import Path
from backends.datasets.cifar import CIFAR10, read_class_names

def high_water_mark():
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024

data = {data}
Path("/proc/self/clear_refs").write_text("5")
before = high_water_mark()
try:
    {load}
    result = "loaded"
except Exception as error:
    result = type(error).__name__
print(result, high_water_mark() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a process's memory is read from /proc")
@pytest.mark.parametrize("name", [*BOMBS, "stock unpickler"])
def test_bomb_is_refused_in_little_memory(name: str) -> None:
    stock = name not in BOMBS
    load = "pickle.loads(data)" if stock else "read_class_names(data, CIFAR10)"
    script = CHILD.format(load=load, data=BOMBS["memo index" if stock else name])
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    result, size = output.split()
    assert (result == "BadPickle", int(size) < 64 << 20) == (not stock, not stock)
