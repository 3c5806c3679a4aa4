"""A conversion in words: what it will take, how far it is, what it made, and the command that does the same."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import structs
from textual.content import Content

from backends import units
from backends.runs.conversion import Conversion, ConversionSpec
from backends.stores.plan import Request
from backends.stores.preflight import Estimate
from backends.stores.progress import ShardState
from backends.stores.sbatch import command
from tui.labels import Series, identify
from tui.messages import Prepared
from tui.plan_fields import write
from tui.text import fit, middle, safe_text

FIELDS = {"dataset": "o", "to": "t", "keep as": "c", "shards": "s", "size": "z", "workers": "w"}
"""The keys that change what a conversion is to do."""
_LABEL = 11


def title(spec: ConversionSpec) -> str:
    """``cifar-10-batches-py → hdf5+raw``."""
    name = Path(spec.request.dataset).name or spec.request.dataset
    return f"{safe_text(name, 40)} → {safe_text(spec.request.configuration, 40)}"


def command_words(spec: ConversionSpec) -> list[str]:
    """The command that does the same from a shell."""
    workers = ("--workers", str(spec.workers)) if spec.workers else ()
    return command(spec.request, Path(spec.destination), *workers, *["--resume"] * spec.resume)


def rows_before(spec: ConversionSpec, found: Prepared | None, width: int) -> Iterator[Content]:
    """What will be done, a field a row with its key, then what it takes or why it cannot be done."""
    for name, text in _fields(spec, found).items():
        room = width - _LABEL - 10
        change = ((f"  {FIELDS[name]}", "bold"), (" change", "$dim"))
        yield Content.assemble((f"{name.capitalize():<{_LABEL}}", "$dim"), fit(middle(text, room), room), *change)
    yield Content("")
    if found is None:
        yield Content.styled("looking at the dataset and the disk…", "$dim")
        return
    if found.problem or found.needs is None:
        yield Content.assemble(("! ", "bold $error"), (safe_text(found.problem, 1000), "$error"))
        return
    for label, text in _costs(spec.request, found.needs, found.begun).items():
        yield Content.assemble((f"{label:<{_LABEL}}", "$dim"), text)
    yield from (Content(""), Content.styled("The same from a shell:", "$dim"))
    yield from _wrapped(map(shlex.quote, command_words(structs.replace(spec, resume=found.begun))), width)
    file = middle(safe_text(batch_file(spec)), width - 38)
    yield Content.assemble(("On a cluster (Slurm array):", "$dim"), ("  b", "bold"), f" writes {file}")


def batch_file(spec: ConversionSpec) -> str:
    """Where the Slurm script goes: beside the store."""
    return f"{spec.destination}.sbatch"


def _series(spec: ConversionSpec) -> Series:
    return identify((spec.request.configuration,))[spec.request.configuration]


def _fields(spec: ConversionSpec, found: Prepared | None) -> dict[str, str]:
    request, plan = spec.request, found and found.plan
    images = f"   {plan.images:,} images, {len(plan.classes):,} classes" if plan else ""
    each = write("memory", request.shard_bytes)
    each = f"{request.shard_images:,} images" if request.shard_images else each
    shards = (f"{len(plan.shards):,}, " if plan else "") + f"of {each} at most"
    processors = len(os.sched_getaffinity(0))
    return {
        "dataset": safe_text(request.dataset) + images,
        "to": safe_text(spec.destination),
        "keep as": f"{_series(spec).mark} {safe_text(_series(spec).text)}",
        "shards": "one for each split; after a stop it begins anew" if request.single else shards,
        "size": f"{request.resize:,} pixels at the shorter side (lossy)" if request.resize else "as it is",
        "workers": f"{spec.workers:,}" if spec.workers else f"{processors}, one for each processor",
    }


def _costs(request: Request, needs: Estimate, begun: bool) -> dict[str, str]:
    inodes = f" and {needs.free_files:,} inodes" if needs.free_files is not None else ""
    both = f": source and copy take {units.capacity(needs.bytes + needs.source_bytes)}" if needs.source_bytes else ""
    return {
        "Writes": f"{units.capacity(needs.bytes)}, {needs.files:,} files; "
        f"{units.capacity(needs.free_bytes)}{inodes} are free",
        "Takes": f"about {units.about(needs.seconds)}; "
        + ("what is durable already is kept" if begun else "read back, compared and synced to disk"),
        "Keeps": f"{'every' if request.is_lossless else 'not every (lossy)'} pixel; labels, names, splits, digests",
        "Source": f"stays where it is{both}",
        "Counts": "pictures that do not decode, and duplicates, while converting",
    }


def _wrapped(words: Iterable[str], width: int) -> Iterator[Content]:
    """A command on as many lines as it needs, as a shell reads them."""
    line = " "
    for word in words:
        if len(line) + len(word) + 3 > width and line.strip():
            yield Content(f"{safe_text(line, 1000)} \\")
            line = "   "
        line += f" {word}"
    yield Content(safe_text(line, 1000))


def rows_during(state: Conversion, width: int) -> Iterator[Content]:
    """Written and durable images, the rate, and the shards that are being made."""
    progress, start = state.progress, state.start
    if progress is None or start is None:
        found = f" {state.found:,} pictures found" if state.found else ""
        waiting = f"waiting for {safe_text(state.waiting, 400)}" if state.waiting else f"reading the dataset…{found}"
        yield _dim(waiting if start is None else "starting the workers…")
        return
    written = f"{progress.written:,} of {progress.images:,}"
    durable = f"{progress.durable:,}   {progress.sealed:,} of {units.count_of(progress.shards, 'shard')}"
    room = max(4, width - 13 - max(len(written), len(durable)))
    share = (progress.written + progress.failures) / max(1, progress.images)
    for label, done, figures in (("written", share, written), ("durable", state.share, durable)):
        full = min(room, round(done * room))
        bar = ("━" * full, _series(state.spec).role), ("─" * (room - full), "$line")
        yield Content.assemble((f"{label:<10}", "$dim"), *bar, f"   {figures}")
    rate, left = state.images_per_second, state.seconds_left
    doing = "stopping" if state.stopping else "paused" if state.is_paused else ""
    words = (
        "writing the index" if state.phase == "finishing" else doing,
        units.rate(rate) if rate else "",
        f"{units.capacity(rate * start.bytes / max(1, start.images))}/s" if rate else "",
        f"{units.clock(left)} left" if left is not None and not doing else "",
        f"{units.clock(state.seconds)} elapsed",
    )
    yield from (Content(""), Content("   ".join(filter(None, words))))
    yield _dim(f"not decoded {progress.failures:,}   duplicates are counted at the end")
    yield from (Content(""), _dim(f"{'shard':<30}{'images':>12}{'size':>10}{'read back':>12}{'synced':>9}"))
    for shard in progress.shown:
        name = fit(middle(safe_text(shard.path), 30), 30)
        yield Content(f"{name}{shard.images:>12,}{_size_and_checks(shard)}")
    yield from (Content(""), _dim("It goes on when you leave the program; imgstore-tui shows it again."))


def _size_and_checks(shard: ShardState) -> str:
    if shard.bytes:
        return f"{units.capacity(shard.bytes):>10}{'equal':>12}{'yes':>9}"
    if shard.written < shard.images and not shard.checked:
        return f"{_percent(shard.written, shard.images):>10}"
    return f"{'written':>10}{_percent(shard.checked, shard.images):>12}"


def _percent(done: int, total: int) -> str:
    return f"▸ {100 * done / max(1, total):.0f} %"


def rows_after(state: Conversion, width: int) -> Iterator[Content]:
    """What was made and what to do with it; or why it ended before, and what stays."""
    spec, made, progress = state.spec, state.made, state.progress
    if made is None:
        sentence = Content.assemble(("! ", "bold $error"), (safe_text(state.message, 1000), "$error"))
        yield sentence if state.message else Content.styled("Stopped.", "bold")
        if progress is not None:
            done = f"{progress.durable:,} of {progress.images:,} images"
            yield Content(f"{done} are durable in {safe_text(spec.destination)}. Enter goes on from there.")
        return
    kept = f"{safe_text(spec.request.configuration)}, {'lossless' if spec.request.is_lossless else 'lossy'}"
    yield Content.styled(safe_text(spec.destination), "bold")
    yield Content(f"{units.count_of(made.images, 'image')} in {units.count_of(made.shards, 'shard')} of {kept}")
    took = f", made in {units.spoken(state.seconds)}" if state.seconds else ""
    yield Content(f"{units.capacity(made.bytes)} in {units.count_of(made.files, 'file')}{took}")
    yield Content("Every image was read back, compared and synced to disk.")
    counts = f"not decoded {made.failures:,}   duplicates {made.duplicates:,}   in two splits {made.in_two_splits:,}"
    yield from (Content(""), Content(counts))
    yield from (_dim(f"  {safe_text(line)}") for line in made.skipped)
    if made.failures > len(made.skipped):
        yield _dim(f"  and {made.failures - len(made.skipped):,} more")
    folder = shlex.quote(spec.destination)
    loader, verify = ("imgstore-tui", "loader", folder, "> loader.py"), ("imgstore-tui", "verify", folder)
    yield from (Content(""), _dim("Code that reads it, for training:"), *_wrapped(loader, width))
    yield from (Content(""), _dim("Check it, and every copy of it:"), *_wrapped(verify, width))


def _dim(text: str) -> Content:
    return Content.styled(text, "$dim")
