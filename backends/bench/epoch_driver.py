"""Reads epochs through a PyTorch DataLoader and reports what that takes, in the interpreter that a user trains with.

A trial puts it beside ``loader.py``, a printed loader, and passes the request as JSON.  It needs nothing but torch and
what that file needs.  It answers with lines of JSON on standard output, asks there before each timed epoch, and goes on
when a line comes on standard input; the end of that ends the program, whatever it is doing.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

LEAST_SECONDS = 0.5  # warm epochs are repeated until they have taken so long
WARM_UP_SECONDS = 2.0
PROGRESS_SECONDS = 0.25


class Items:
    """The images of a loader, one by one, and shrunk or enlarged to ``size`` pixels a side if there is one."""

    def __init__(self, images: Any, size: int | None, mixed: bool) -> None:
        self.images, self.size, self.mixed = images, size, mixed

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, position: int) -> Any:
        return self.fitted(*self.images[position])

    def fitted(self, image: Any, label: int) -> tuple[Any, int]:
        if self.size is None:
            return image, label
        from PIL import Image

        picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
        picture = picture.convert("RGB") if self.mixed else picture
        picture = picture.resize((self.size, self.size), Image.Resampling.BILINEAR)
        return np.array(picture).reshape(self.size, self.size, -1), label


class Batches(Items):
    """The same, a batch at a time."""

    def __getitems__(self, positions: list[int]) -> Any:
        batch = self.images.__getitems__(positions)
        return batch if self.size is None else [self.fitted(*pair) for pair in batch]


def keep_list(batch: Any) -> Any:
    """A batch of images of several sizes."""
    import torch

    return [torch.from_numpy(image) for image, _ in batch], torch.tensor([label for _, label in batch])


class Driver:
    """Answers one request."""

    def __init__(self, request: dict[str, Any], out: Any) -> None:
        self.request, self.out, self.lines = request, out, queue.Queue[None]()
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self) -> None:
        while os.read(0, 1):
            self.lines.put(None)
        for child in multiprocessing.active_children():
            child.kill()
        os._exit(1)

    def say(self, **fields: Any) -> None:
        self.out.write(json.dumps(fields).encode() + b"\n")
        self.out.flush()

    def load(self) -> None:
        """Import what is measured: the printed loader, and torch."""
        import loader
        import torch
        from torch.utils.data import DataLoader

        by_item = self.request["fetch"] == "item"
        if not by_item and tuple(map(int, torch.__version__.split(".")[:2])) < (1, 13):
            raise RuntimeError(f"torch {torch.__version__} fetches item by item: choose --fetch item, or torch 1.13")
        self.data_loader, self.images = DataLoader, loader.Images()
        self.kind, self.collate = Items if by_item else Batches, None if by_item else getattr(loader, "collate", None)

    def loader(self, size: int | None, workers: int, order: list[int]) -> Any:
        """A DataLoader that gives the images in the order of a list."""
        mixed = self.request["mixed"]
        collate = self.collate if size is None else None
        return self.data_loader(
            self.kind(self.images, size, mixed),
            self.request["batch"],
            sampler=order,
            num_workers=workers,
            collate_fn=keep_list if mixed and size is None else collate,
            persistent_workers=workers > 0,
        )

    def sweep(self) -> None:
        """Time epochs with each number of workers, then send what one more reads."""
        order = np.random.default_rng(self.request["seed"]).permutation(len(self.images)).tolist()
        steps = [0.0] + ([self.request["step"]] if self.request["step"] else [])
        cold = self.request["cold"]
        for workers in self.request["workers"]:
            make = partial(self.loader, self.request["image_size"], workers, order)
            loader: Any = None  # which ends the workers of the last one
            facts: dict[str, Any] = {}
            before = usage()
            for step in steps:
                if not cold:
                    loader = loader or make()
                    self.epoch(loader, 0.0, WARM_UP_SECONDS)
                self.say(ready=workers)
                self.lines.get()
                facts.update(self.timed_apart(make, step) if cold else self.timed(loader, step, before))
            self.say(workers=workers, **facts)
        loader = None
        self.verify(self.loader(None, max(self.request["workers"]), order))

    def timed_apart(self, make: Callable[[], Any], step: float) -> dict[str, Any]:
        """The same as ``timed``, in a process of its own: what one maps cannot be dropped from the page cache.

        The loader is made there, which ends its workers before that process ends: killed, they leave files in /tmp.
        """
        context = multiprocessing.get_context("fork")
        receive, send = context.Pipe(duplex=False)
        child = context.Process(target=lambda: send.send(self.timed(make(), step, usage())))
        child.start()
        send.close()
        try:
            facts: dict[str, Any] = receive.recv()
        except EOFError:
            raise RuntimeError("the process that reads an epoch died") from None
        child.join()
        return facts

    def timed(self, loader: Any, step: float, alone: dict[str, float]) -> dict[str, Any]:
        """What an epoch takes, the mean of several if it is short; of one with steps only what these tell."""
        before, epochs = usage(), list[dict[str, float]]()
        least = 0.0 if step or self.request["cold"] else LEAST_SECONDS
        while not epochs or sum(epoch["seconds"] for epoch in epochs) < least:
            epochs.append(self.epoch(loader, step))
        after = usage()
        mean = {name: sum(epoch[name] for epoch in epochs) / len(epochs) for name in epochs[0]}
        waiting = mean["waiting"] / mean["seconds"]
        if step:
            return {"waiting": waiting, "utilisation": step * len(loader) / mean["seconds"]}
        used = {name: (after[name] - before[name]) / len(epochs) for name in ("cpu_seconds", "main_cpu_seconds")}
        if "bytes_read" in after:
            used["bytes_read"] = int(after["bytes_read"] - before["bytes_read"]) // len(epochs)
            used["memory_growth"] = int(after["anonymous"] - alone["anonymous"])
        shared = int(max(epoch["shared_bytes"] for epoch in epochs))
        return {**mean, **used, "waiting": waiting, "shared_bytes": shared, "epochs": len(epochs)}

    def epoch(self, loader: Any, step: float, most_seconds: float = float("inf")) -> dict[str, float]:
        """Seconds of an epoch, until its first batch and of waiting for any, and the most that was in /dev/shm."""
        shared, most_shared, first, waiting, done = shared_bytes(), 0, 0.0, 0.0, 0
        begin = told = time.perf_counter()
        batches = iter(loader)
        now = begin
        while now - begin < most_seconds:
            asked = time.perf_counter()
            batch = next(batches, None)
            now = time.perf_counter()
            waiting += now - asked
            if batch is None:
                break
            first = first or now - begin
            most_shared = max(most_shared, shared_bytes() - shared) if loader.num_workers else 0
            done += len(batch[1])
            if now - told > PROGRESS_SECONDS:
                told = now
                self.say(done=done)
            if step:
                time.sleep(step)
        seconds = time.perf_counter() - begin
        return {"seconds": seconds, "first_batch": first, "waiting": waiting, "shared_bytes": most_shared}

    def verify(self, loader: Any) -> None:
        """Send all pixels, in the order of the list, for the trial to compare."""
        for images, labels in loader:
            arrays = [image.numpy() for image in images]
            self.say(shapes=[array.shape for array in arrays], labels=labels.tolist())
            for array in arrays:
                self.out.write(np.ascontiguousarray(array).data)
            self.out.flush()


def usage() -> dict[str, float]:
    """What this process and its workers have used so far; bytes only where the system tells."""
    children = [child.pid for child in multiprocessing.active_children()]
    parent = multiprocessing.parent_process()
    own = time.process_time()
    found = {"main_cpu_seconds": own, "cpu_seconds": own, "bytes_read": 0.0, "anonymous": 0.0}
    try:
        for pid in (os.getpid(), *children, *([parent.pid] if parent else [])):  # all that share pages
            found["anonymous"] += 1024 * number(f"/proc/{pid}/smaps_rollup", "Pss_Anon:")
        for pid in (os.getpid(), *children):
            found["bytes_read"] += number(f"/proc/{pid}/io", "read_bytes:")
            if pid in children:
                with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
                    ticks = file.read().rpartition(")")[2].split()[11:13]
                found["cpu_seconds"] += sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    except OSError:
        del found["bytes_read"]
    return found


def number(path: str, key: str) -> int:
    with open(path) as file:  # noqa: PTH123
        return next((int(line.split()[1]) for line in file if line.startswith(key)), 0)


def shared_bytes() -> int:
    """Bytes in use of the memory through which workers pass their batches on."""
    try:
        facts = os.statvfs("/dev/shm")
    except OSError:
        return 0
    return (facts.f_blocks - facts.f_bfree) * facts.f_frsize


def main() -> None:
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is none of the answers
    driver = Driver(json.loads(sys.argv[1]), out)
    try:
        driver.load()
        driver.sweep()
    except Exception as error:
        driver.say(error=f"{type(error).__name__}: {error}")
        sys.exit(1)


if __name__ == "__main__":
    main()
