"""After how many epochs a conversion has paid for itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backends import units
from backends.bench.configuration import SOURCE, Configuration
from backends.bench.prediction import DURABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.bench.prediction import Predicted, Prediction
    from backends.datasets.facts import DatasetFacts

EPOCHS = ("shuffled", "shuffled cold", "read", "read cold")
"""What an epoch is, the first that was measured and can be relied on."""


@dataclass(frozen=True, slots=True)
class Payback:
    """What a conversion costs and saves.

    Attributes
    ----------
    convert_seconds
        Reading the source and storing, durably.
    epoch_now, epoch_then
        Seconds of a pass over all images: of the source, and of the configuration.
    epochs
        After how many the conversion has paid; None where it saves nothing.
    source_bytes, copy_bytes
        What the source and the configuration take on disk; None where it is not known.
    unsure
        Why a number in here should not be relied on; empty where all can be.
    """

    configuration: str
    convert_seconds: float
    epoch_now: float
    epoch_then: float
    epochs: int | None
    source_bytes: float | None
    copy_bytes: float | None
    free_bytes: int | None
    unsure: str = ""


def payback(
    configuration: str,
    predictions: Mapping[str, Prediction],
    facts: DatasetFacts,
    source_seconds: float | None,
    free_bytes: int | None,
) -> Payback | None:
    """Work it out for the images that the predictions are for; None where a store or a read was not measured.

    Parameters
    ----------
    source_seconds
        What reading and decoding so many images from their source takes; None where it is not known.
    """
    chosen = predictions[configuration]
    today = next((one for name, one in predictions.items() if _as_they_are(name)), None)
    store = chosen.seconds.get(DURABLE)
    use = _epoch(chosen)
    now = today.seconds.get(use) if today and use else None
    before = now.value if now else source_seconds
    if use is None or before is None or store is None:
        return None
    if source_seconds is None and not _as_they_are(configuration):
        return None
    then = chosen.seconds[use]
    convert, saved = (source_seconds or 0.0) + store.value, before - then.value
    known: list[Predicted | None] = [store, then, now, chosen.bytes_allocated]
    bytes_now = facts.source_bytes if facts.source_bytes is not None else facts.raw_bytes
    return Payback(
        configuration=configuration,
        convert_seconds=convert,
        epoch_now=before,
        epoch_then=then.value,
        epochs=math.ceil(convert / saved) if saved > 0 else None,
        source_bytes=bytes_now * chosen.images / max(1, facts.count) if bytes_now is not None else None,
        copy_bytes=chosen.bytes_allocated.value if chosen.bytes_allocated else None,
        free_bytes=free_bytes,
        unsure=next((one.unsure for one in known if one and one.unsure), ""),
    )


def payback_sentences(found: Payback) -> tuple[str, ...]:
    """What it costs and saves, and what it needs on disk."""
    if _as_they_are(found.configuration):
        return ("The picture files as they are do best: there is nothing to convert.",)
    cost = f"Converting to {found.configuration} takes about {units.spoken(found.convert_seconds)}"
    now, then = units.spoken(found.epoch_now), units.spoken(found.epoch_then)
    if found.epochs is None:
        first = f"{cost} and saves nothing: an epoch takes {now} today and {then} after."
    else:
        saved, epochs = units.spoken(found.epoch_now - found.epoch_then), _times(found.epochs)
        first = f"{cost} and saves {saved} an epoch ({now} today, {then} after): it pays back after {epochs}."
    if found.unsure:
        first = f"{first[:-1]}; this is unsure: {found.unsure}."
    return (first, *_room(found))


def _as_they_are(configuration: str) -> bool:
    """Whether it is a folder of pictures as the source is one."""
    return Configuration.parse(configuration).method == f"files+{SOURCE}"


def _epoch(chosen: Prediction) -> str | None:
    known = [use for use in EPOCHS if use in chosen.seconds]
    return next((use for use in known if not chosen.seconds[use].unsure), known[0] if known else None)


def _times(epochs: int) -> str:
    return "1 epoch" if epochs == 1 else f"{epochs:,} epochs"


def _room(found: Payback) -> tuple[str, ...]:
    if found.copy_bytes is None:
        return ()
    copy = units.capacity(found.copy_bytes)
    needs = f"The copy needs {copy}"
    if found.source_bytes is not None:
        needs = f"Source and copy need {units.capacity(found.source_bytes + found.copy_bytes)}, {copy} of them the copy"
    if found.free_bytes is None:
        return (f"{needs}.",)
    fits = "" if found.copy_bytes <= found.free_bytes else ": the copy does not fit"
    return (f"{needs}; {units.capacity(found.free_bytes)} are free{fits}.",)
