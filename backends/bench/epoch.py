"""The operation epoch: shuffled epochs through a PyTorch DataLoader, in the interpreter that a user trains with."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from backends.bench.configuration import Configuration
from backends.bench.measurement import COLD, EPOCH, EpochFacts
from backends.bench.meters import make_cold, make_warm
from backends.bench.operations import Execution, batch_check
from backends.bench.plan import Plan
from backends.errors import ContainerDamaged, ImgstoreError, UsageError

DRIVER = Path(__file__).with_name("epoch_driver.py")
_NAME_IT = "name the one that you train with, such as --python ~/venv/bin/python."
_MISSING = "import importlib.util as u, sys; print(*[n for n in sys.argv[1:] if u.find_spec(n) is None])"
_PATIENCE_SECONDS = 60
_MESSAGE = 500


def interpreter(plan: Plan) -> str:
    """The Python that epochs of a plan are read by: this one where the plan names none."""
    return os.path.expanduser(plan.python) or sys.executable  # noqa: PTH111


def require_modules(plan: Plan) -> None:
    """Raise UsageError where a plan has epochs, and its interpreter does not run or has no torch or another library."""
    if EPOCH not in plan.operations:
        return
    python, needed = interpreter(plan), dict.fromkeys(("torch", "numpy"))
    for configuration in plan.configurations:
        needed |= dict.fromkeys(_libraries(configuration))
    command = [python, "-c", _MISSING, *needed]
    try:
        found = subprocess.run(
            command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=_PATIENCE_SECONDS
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no Python, or does not answer"
        raise UsageError(f"epoch cannot be measured by {python} ({reason}): {_NAME_IT}") from None
    if missing := found.stdout.split():
        raise UsageError(f"epoch needs {' and '.join(missing)}, which {python} does not have: {_NAME_IT}")


def _libraries(configuration: Configuration) -> list[str]:
    library = configuration.entry.library
    return [*([library] if library else []), *(["PIL"] if configuration.codec != "raw" else [])]


def epoch(execution: Execution) -> None:
    """Read epochs with each number of workers; the fastest is what counts.  Their pixels are compared afterwards."""
    task, count, compared = execution.task, execution.count, 0
    order = np.random.default_rng(task.seed).permutation(count)
    check, labels = batch_check(execution), execution.source.labels(0, count)
    with _driver(execution) as (answers, go):
        for line in answers:
            answer: dict[str, Any] = json.loads(line)
            if "ready" in answer:
                share = (make_cold if execution.trial.cache == COLD else make_warm)(task.artefact)
                execution.resident.extend([] if share is None else [share])
                go.write(b"\n")
            elif "done" in answer:
                execution.progress(answer["done"])
            elif "workers" in answer:
                execution.epochs.append(EpochFacts(**answer))
            elif "shapes" in answer:
                rows = order[compared : compared + len(answer["shapes"])]
                check([_read_image(answers, shape) for shape in answer["shapes"]], rows)
                compared += len(rows)
                if answer["labels"] != labels[rows].tolist():
                    raise ContainerDamaged(f"{execution.configuration} gave other labels than it was given.")
            else:
                raise ImgstoreError(f"epochs cannot be read: {answer['error'][:_MESSAGE]}")
    if compared < count:
        raise ContainerDamaged(f"{execution.configuration} gave {compared:,} images of {count:,}.")
    best = min(execution.epochs, key=lambda facts: facts.seconds)
    execution.watch.seconds[EPOCH], execution.watch.cpu_seconds[EPOCH] = best.seconds, best.cpu_seconds
    execution.watch.bytes_read = best.bytes_read


def _read_image(answers: BinaryIO, shape: list[int]) -> NDArray[np.uint8]:
    pixels = answers.read(math.prod(shape))
    if len(pixels) < math.prod(shape):
        raise ImgstoreError("the loader ended within an image: out of memory, or somebody ended it.")
    return np.frombuffer(pixels, np.uint8).reshape(shape)


@contextmanager
def _driver(execution: Execution) -> Iterator[tuple[BinaryIO, IO[bytes]]]:
    """A process that reads epochs: what it answers, and what lets it go on.  Raises ImgstoreError where it fails."""
    task, folder, loading = execution.task, execution.task.rehearsal, execution.task.loading
    assert loading is not None
    folder.mkdir()
    (folder / "loader.py").write_text(loading.code)
    (folder / "driver.py").write_bytes(DRIVER.read_bytes())
    request = {
        "workers": loading.workers,
        "batch": task.batch,
        "fetch": loading.fetch,
        "image_size": loading.image_size,
        "step": loading.step_seconds,
        "seed": task.seed,
        "cold": execution.trial.cache == COLD,
        "mixed": execution.source.image_shape is None,
    }
    log = folder / "log.txt"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [loading.python, str(folder / "driver.py"), json.dumps(request)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            bufsize=0,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        with open(process.stdout.fileno(), "rb", closefd=False) as answers:
            yield answers, process.stdin
        process.stdin.close()
        if (code := process.wait(_PATIENCE_SECONDS)) or not execution.epochs:
            last = (log.read_text(errors="replace").strip().splitlines() or [f"exit code {code}, no message"])[-1]
            raise ImgstoreError(f"the loader failed in {loading.python}: {last[:_MESSAGE]}")
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
