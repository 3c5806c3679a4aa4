"""Each warning: when it is given, and when not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from backends.analysis.warnings import warnings_of
from backends.bench.configuration import configurations_of
from backends.bench.disk import Mount
from backends.bench.machine import Conditions, Environment
from backends.bench.plan import Plan
from tests.backends.analysis.measured import measured

if TYPE_CHECKING:
    from backends.bench.measurement import Measurement

GIB = 1 << 30
PLAN = Plan("sample", configurations_of("lmdb+raw", "hdf5+raw"), (10, 1_000))
EXT4 = Mount("/scratch", "ext4", "rw", "/dev/sda1", 4096)
QUIET = Environment("host", "user", "Linux 6", "cpu", 4, 8 * GIB, None, "3.12", {}, (EXT4,))
CALM = Conditions(load_before=0.2, load_after=1.1, steal=0.0, throttled_seconds=0.0)
LARGE = 5 * GIB
"""Bytes of a container that half of the memory does not hold."""


def said(
    measurements: list[Measurement], conditions: Conditions | None = CALM, environment: Environment = QUIET
) -> tuple[str, ...]:
    return warnings_of(PLAN, measurements, conditions, environment)


def fine(aspect: str = "read", count: int = 1_000, **more: float) -> list[Measurement]:
    return measured("lmdb+raw", aspect, count, [1.0, 1.01, 0.99], **{"bytes_allocated": LARGE, **more})


def test_good_run_has_no_warning() -> None:
    assert said(fine()) == ()
    assert said(fine(), None) == ()


def test_spread_names_the_worst_and_the_number() -> None:
    found = [
        *fine(),
        *measured("hdf5+raw", "read", 1_000, [1.0, 1.2, 1.4], bytes_allocated=LARGE),
        *measured("hdf5+raw", "store", 10, [1.0, 2.0, 3.0]),
    ]
    (sentence,) = said(found)
    assert sentence.startswith("The repeats of 2 of 3 figures scatter by more than 10% of their mean, most those of ")
    assert "hdf5+raw store at 10 images, by 50%" in sentence


def test_short_figure_warns_unless_looped_or_small() -> None:
    short = measured("npy+raw", "read", 1_000, [0.01, 0.01, 0.01])
    (sentence,) = said([*fine(), *short])
    assert (
        sentence == "1 figure rests on less than 50.0 ms, npy+raw read at 1,000 images on 10.0 ms: choose more images."
    )
    assert said([*fine(), *(replace(trial, loops=6) for trial in short)]) == ()
    assert said([*fine(), *(replace(trial, count=10) for trial in short)]) == ()
    assert "at 1 image on" in said([*fine(), *(replace(trial, count=1, operation="read-one") for trial in short)])[0]


def test_resident_cold_read_warns() -> None:
    assert said(fine("read cold", resident=0.04)) == ()
    (sentence,) = said(fine("read cold", resident=0.3))
    assert sentence.startswith("Cold reads are best effort: 30% of what lmdb+raw read cold at 1,000 images reads")


def test_warm_read_of_small_container_warns() -> None:
    small = fine(bytes_allocated=GIB)
    (sentence,) = said(small)
    assert "(1.00 GiB) fits into memory (8.00 GiB): this measures memory, not disk" in sentence
    assert said([*small, *fine("read cold", bytes_allocated=GIB)]) == ()
    assert said(fine("store", bytes_allocated=GIB)) == ()
    assert len(said(fine(), environment=replace(QUIET, memory_limit=9 * GIB))) == 0
    assert len(said(fine(), environment=replace(QUIET, memory_bytes=64 * GIB))) == 1
    assert len(said(fine(), environment=replace(QUIET, memory_bytes=64 * GIB, memory_limit=8 * GIB))) == 0


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("tmpfs", "/scratch is tmpfs, in memory: nothing here measures a disk, and no read is cold."),
        ("nfs4", "/scratch is nfs4, a network filesystem"),
        ("overlay", "/scratch is an overlay"),
    ],
)
def test_unusual_filesystem_warns(kind: str, words: str) -> None:
    (sentence,) = said(fine(), environment=replace(QUIET, mounts=(replace(EXT4, filesystem=kind),)))
    assert sentence.startswith(words)


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        ({"load_before": 2.9}, None),
        ({"load_before": 3.4}, "The load average was 3.4 on 4 cores"),
        ({"load_before": 75.8}, "The load average was 75.8 on 4 cores"),
        ({"load_after": 3.9}, None),
        ({"load_after": 4.5}, "The load average was 4.5 on 4 cores"),
        ({"steal": 0.04}, None),
        ({"steal": 0.2}, "The host gave 20% of the processors' time to other machines"),
        ({"throttled_seconds": 0.02}, None),
        ({"throttled_seconds": 1.0}, "The cgroup's processor quota held the run back for 1.0 s"),
        (dict.fromkeys(("load_before", "load_after", "steal", "throttled_seconds")), None),
    ],
)
def test_disturbing_conditions_warn(conditions: dict[str, float | None], words: str | None) -> None:
    sentences = said(fine(), replace(CALM, **conditions))
    assert len(sentences) == (words is not None)
    assert words is None or sentences[0].startswith(words)
