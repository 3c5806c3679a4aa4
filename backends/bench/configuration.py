"""What is compared: backend + codec + options + folder, written ``lmdb:opt=1+png:level=1@/scratch``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backends.base import Options, format_options, parse_options
from backends.errors import UsageError
from backends.registry import LIMIT, backend_entry, codec_entry

if TYPE_CHECKING:
    from backends.datasets.base import DatasetFacts
    from backends.registry import BackendEntry

SOURCE = "source"
"""The codec that passes the bytes of picture files through."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is compared.  ``str(configuration)`` is its name everywhere and parses back to it."""

    backend: str
    codec: str
    backend_options: Options
    codec_options: Options
    folder: str | None = None  # where it writes, as typed; None where the run decides

    @classmethod
    def parse(cls, text: str, facts: DatasetFacts | None = None) -> Configuration:
        """Read ``BACKEND[:OPTIONS][+CODEC[:OPTIONS]][@FOLDER]``; a bare backend takes its default codec.

        The facts of what is to be stored decide the default codec; without them, it is that for arrays of one size.
        Raises UsageError for a name or an option that does not exist, an empty folder, ``source`` for a dataset without
        files, or a codec that does not keep the dataset's channels.
        """
        method, at, folder = text.partition("@")
        if at and not folder:
            raise UsageError(f"{text!r} names no folder behind its @: write {method}@/some/folder.")
        left, _, right = method.partition("+")
        backend, _, backend_options = left.partition(":")
        entry = backend_entry(backend)
        codec, _, codec_options = right.partition(":")
        codec = codec or _default_codec(entry, facts)
        if entry.reference:
            _check_reference(text, entry.name, codec, facts)
        if codec == SOURCE and facts is not None and facts.source_bytes is None:
            raise UsageError(f"{text!r}: {facts.kind} keeps arrays, not files to pass through: choose raw or png.")
        if facts is not None and facts.image_shape is not None:
            channels = facts.image_shape[2]
            if channels not in codec_entry(codec).channels:
                raise UsageError(f"{text!r}: {codec} keeps no images of {channels} channels: choose raw or png.")
        return cls(
            backend=backend,
            codec=codec,
            backend_options=parse_options(entry.options, backend_options, backend),
            codec_options=parse_options(codec_entry(codec).options, codec_options, codec),
            folder=folder or None,
        )

    @property
    def is_lossless(self) -> bool:
        """Whether what is read is what was stored, bit for bit."""
        return codec_entry(self.codec).lossless

    @property
    def is_reference(self) -> bool:
        """Whether it is measured to compare with, such as bare bytes, and is no candidate itself."""
        return backend_entry(self.backend).reference

    @property
    def method(self) -> str:
        """The configuration without its folder: ``lmdb+png:level=2``."""
        return _with(self.backend, self.backend_options) + "+" + _with(self.codec, self.codec_options)

    def __str__(self) -> str:
        return self.method + (f"@{self.folder}" if self.folder else "")


def is_lossless(configuration: str) -> bool:
    """``Configuration.is_lossless`` of its text."""
    return Configuration.parse(configuration).is_lossless


def is_reference(configuration: str) -> bool:
    """``Configuration.is_reference`` of its text."""
    return Configuration.parse(configuration).is_reference


def _check_reference(text: str, name: str, codec: str, facts: DatasetFacts | None) -> None:
    """The limit moves bare bytes, the article's code keeps pixels of one size."""
    if name != LIMIT and facts is not None and facts.image_shape is None:
        raise UsageError(f"{text!r} keeps images of one size only, as the article's code does.")
    if codec != "raw" and (name, codec) != (LIMIT, SOURCE):
        raise UsageError(f"{text!r} is there to compare with, and keeps bare pixels: leave out the codec.")


def _default_codec(entry: BackendEntry, facts: DatasetFacts | None) -> str:
    if facts is None or (facts.source_bytes is None and facts.image_shape is not None):
        return entry.codec
    if entry.name != "files" and facts.image_shape is not None:
        return entry.codec
    return SOURCE if facts.source_bytes is not None else "png"


def _with(name: str, options: Options) -> str:
    text = format_options(options)
    return f"{name}:{text}" if text else name
