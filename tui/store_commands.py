"""What the subcommands do that make, check and show a store.  They raise ImgstoreError with the sentence to show."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from pathlib import Path
from typing import Any

from backends import units
from backends.bench.child import Child
from backends.bench.configuration import Configuration
from backends.bench.disk import write_durably
from backends.bench.json_files import to_builtins
from backends.codecs.png import Png
from backends.datasets import open_dataset
from backends.datasets.base import Reading
from backends.errors import Cancelled, ImgstoreError, UsageError
from backends.registry import codec_entry, make_codec
from backends.stores.convert import Control, convert, finish_store, prepare
from backends.stores.manifest import Manifest
from backends.stores.plan import Request, StorePlan, absolute_request
from backends.stores.preflight import Estimate
from backends.stores.resume import parse_part
from backends.stores.sbatch import command, sbatch_script
from backends.stores.store import open_store
from backends.stores.verify import Finding, Level, repair, strangers, verify
from tui.progress import ConversionProgress, listing, say
from tui.text import json_text, safe_text

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SHOWN = 20
"""Pictures, duplicates and findings that are named; the rest are counted."""


def make_store(dataset: str, destination: Path, text: str, options: dict[str, Any]) -> int:
    """Convert a dataset, in a process that ends with this one; return the exit code.

    The first signal stops it, and keeps what is durable; the second one ends it at once.
    """
    signals: list[int] = []
    with Child(_make_store, dataset, destination, text, options, opening=False) as child:

        def stop(number: int, frame: object) -> None:
            signals.append(number)
            child.signal(number if len(signals) == 1 else signal.SIGKILL)
            if len(signals) > 1:
                os._exit(128 + number)

        for number in STOPPING:
            signal.signal(number, stop)
        code: int = child.answer()
        return code


def _make_store(dataset: str, destination: Path, text: str, options: dict[str, Any]) -> int:
    """Convert a dataset with its progress on standard error; return the exit code."""
    how = {name: options.pop(name) for name in ("workers", "part", "dask", "resume", "sbatch")}
    options["how"] = Reading(options.pop("root"), options.pop("layout"), options.pop("labels"))
    if "+" in text:
        configuration = Configuration(text)
    else:  # the codec that suits its images
        with listing() as poll, open_dataset(dataset, options["split"], poll, options["how"]) as opened:
            configuration = Configuration.for_dataset(text, opened.survey())
    request = absolute_request(Request(dataset=dataset, configuration=configuration, **options))
    if how["sbatch"] is not None:
        return _write_script(request, destination, how["workers"], how["sbatch"])
    part = parse_part(how["part"]) if how["part"] is not None else None
    signals: list[int] = []

    for number in STOPPING:
        signal.signal(number, lambda number, frame: signals.append(number))
    progress = ConversionProgress()
    control = Control(
        listed=progress.listed,
        announce=lambda plan, needs: progress.announce(_announcement(plan, needs, destination)),
        report=progress.show,
        cancelled=lambda: bool(signals),
    )
    again = command(request, destination, *(["--part", how["part"]] if part else ["--resume"]))
    try:
        with progress:
            manifest = convert(
                request,
                destination,
                workers=how["workers"],
                part=part,
                resume=how["resume"],
                dask=how["dask"],
                control=control,
            )
    except Cancelled as stopped:
        say(f"imgstore-tui: {stopped} Go on with: {shlex.join(again)}")
        return 128 + signals[0]
    if manifest is None:
        say(f"This part is done; other parts are not. imgstore-tui convert --finish {shlex.quote(str(destination))}")
    else:
        print_store(destination, manifest)
    return 0


def finish_parts(destination: Path) -> int:
    """Finish a store whose parts are all made, or say what is missing."""
    manifest, missing = finish_store(destination.absolute())
    if manifest is None:
        listed = "\n".join(missing[:SHOWN])
        more = f"\nand {len(missing) - SHOWN:,} more" if len(missing) > SHOWN else ""
        say(f"{len(missing):,} shards of {destination} are missing; make their parts:\n{listed}{more}")
        return 1
    print_store(destination, manifest)
    return 0


def _write_script(request: Request, destination: Path, workers: int, file: str) -> int:
    plan, needs = prepare(request, destination.absolute(), workers)
    text = sbatch_script(plan, destination, workers or len(os.sched_getaffinity(0)))
    if file == "-":
        sys.stdout.write(text)
        return 0
    try:
        write_durably(Path(file).absolute(), text.encode())
    except OSError as error:
        raise UsageError(f"--sbatch {file} cannot be written: {error.strerror or error}.") from None
    say(f"{_announcement(plan, needs, destination)}\nMake it with: sbatch {shlex.quote(file)}")
    return 0


def _announcement(plan: StorePlan, needs: Estimate, destination: Path) -> str:
    """What a conversion is about to do, in two lines."""
    splits = ", ".join(f"{safe_text(name)} {count:,}" for name, count in plan.splits.items())
    inodes = f" and {needs.free_files:,} inodes" if needs.free_files is not None else ""
    both = f"; with the dataset {units.capacity(needs.bytes + needs.source_bytes)}" if needs.source_bytes else ""
    lossy = "" if plan.request.is_lossless else " Lossy: the pixels of the dataset cannot be had back from it."
    shards = units.count_of(len(plan.shards), "shard")
    if plan.request.single:
        shards += ", inside which it cannot go on after a stop"
    return (
        f"{safe_text(plan.kind)} ({splits}) to {plan.request.configuration} in {safe_text(str(destination))}: "
        f"{shards}, about {units.capacity(needs.bytes)} and {needs.files:,} files, "
        f"{units.about(needs.seconds)}.{lossy}\n"
        f"Free: {units.capacity(needs.free_bytes)}{inodes}{both}."
    )


def print_store(folder: Path, manifest: Manifest) -> None:
    """Print what a store holds, what did not decode and what is in it twice."""
    size, files = sum(shard.bytes for shard in manifest.shards), sum(shard.files for shard in manifest.shards)
    splits = ", ".join(f"{safe_text(name)} {stop - start:,}" for name, (start, stop) in manifest.splits.items())
    kept = "lossless" if manifest.lossless else "lossy"
    lines = [
        f"{safe_text(str(folder))}: {units.count_of(manifest.images, 'image')} ({splits}) in "
        f"{units.count_of(len(manifest.shards), 'shard')} of {manifest.request.configuration.method}, "
        f"{units.size(size)} in {units.count_of(files, 'file')}, {kept}",
        f"not decoded {manifest.failures:,}   duplicates {manifest.duplicates:,}   "
        f"in two splits {manifest.in_two_splits:,}",
    ]
    if manifest.failures or manifest.duplicates:
        with open_store(folder) as store:
            failed, twins = store.failures, store.duplicates
            lines += [
                f"  not decoded: {split}/{safe_text(name)} ({safe_text(why)})" for split, _, name, why in failed[:SHOWN]
            ]
            lines += [
                f"  duplicate: {safe_text(store.name(index))} is {safe_text(store.name(first))}"
                for index, first in twins[:SHOWN]
            ]
        if max(len(failed), len(twins)) > SHOWN:
            lines.append(f"  more: imgstore-tui info --json {shlex.quote(str(folder))}")
    sys.stdout.write("\n".join(lines) + "\n")


def store_facts(folder: Path) -> dict[str, Any]:
    """All that is known of a store, for ``info --json``."""
    with open_store(folder) as store:
        failures = [{"split": split, "id": id_, "name": name, "why": why} for split, id_, name, why in store.failures]
        twins = [{"image": index, "equals": first} for index, first in store.duplicates]
        facts: dict[str, Any] = to_builtins(store.manifest)
        return facts | {"not_decoded": failures, "duplicate_images": twins}


def check_store(folder: Path, level: Level, *, mend: bool, as_json: bool) -> int:
    """Verify a store, print each finding, mend it if asked to, and return the exit code."""
    folder = folder.absolute()
    with ConversionProgress() as progress:
        findings = verify(folder, level, tick=progress.shards)
    if not as_json:
        _print_findings(folder, level, findings)
    if others := strangers(folder):
        say(f"Not part of the store, and left alone: {', '.join(map(safe_text, others[:SHOWN]))}")
    mended, left = [], findings
    if findings and mend:
        mended = repair(folder, findings)
        left = verify(folder, "full")
        say(f"Made again: {', '.join(map(safe_text, mended)) or 'no shard'}; {len(left):,} findings are left.")
    elif findings:
        say(f"imgstore-tui verify --repair {shlex.quote(str(folder))} makes damaged shards again from the dataset.")
    if as_json:
        facts = {"store": str(folder), "level": level, "findings": findings, "made_again": mended, "left": left}
        sys.stdout.write(json_text(to_builtins(facts | {"not_of_the_store": others})))
    return 3 if left else 0


def _print_findings(folder: Path, level: Level, findings: list[Finding]) -> None:
    for finding in findings[:SHOWN]:
        image = f" image {finding.index:,} ({safe_text(finding.name)})" if finding.index is not None else ""
        sys.stdout.write(f"{safe_text(finding.path)}{image}: {safe_text(finding.why, 500)}\n")
    if len(findings) > SHOWN:
        sys.stdout.write(f"and {len(findings) - SHOWN:,} more\n")
    if not findings:
        sys.stdout.write(f"{safe_text(str(folder))}: nothing is damaged ({level})\n")


def show_image(folder: Path, index: int, save: Path | None, *, as_json: bool) -> int:
    """Print where an image of a store lies and what is known of it; write it to ``save``."""
    with open_store(folder) as store:
        try:
            number, row = store.locate(index)
        except IndexError:
            raise UsageError(f"{folder} has {len(store):,} images: name one from 0 to {len(store) - 1:,}.") from None
        index %= len(store)
        shard, label = store.manifest.shards[number], int(store.labels[index])
        ((records, layout),) = store.records([index])
        facts = {
            "image": index,
            "shard": shard.path,
            "row": row,
            "split": shard.split,
            "id": int(store.column("ids")[index]),
            "name": store.name(index),
            "label": label,
            "class": store.classes[label] if 0 <= label < len(store.classes) else None,
            "shape": store.shapes[index].tolist(),
            "bytes": len(records.data),
            "digest": store.digests[index].tobytes().hex(),
        }
        if as_json:
            sys.stdout.write(json_text(facts))
        else:
            facts["row"] = f"{row} of {shard.images} in the shard"
            facts["shape"] = units.shape(facts["shape"])
            texts = (f"{name:<7} {safe_text(str(value))}\n" for name, value in facts.items() if value is not None)
            sys.stdout.write("".join(texts))
        if save is not None:
            codec = make_codec(store.manifest.codec)
            if store.manifest.codec == "raw":
                records = Png(codec_entry("png").options()).encode(codec.decode(records, layout))
            try:
                write_durably(save.absolute(), records.data.tobytes())
            except OSError as error:
                raise ImgstoreError(f"--save {save} cannot be written: {error.strerror or error}.") from None
    return 0
