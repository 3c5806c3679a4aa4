"""What is compared: backend + codec + options + folder, written ``lmdb:opt=1+png:level=1@/scratch``."""

from __future__ import annotations

from typing import Self

from backends.base import Backend, Codec, Options, format_options, parse_options
from backends.datasets.base import DatasetFacts
from backends.errors import UsageError
from backends.registry import LIMIT, BackendEntry, CodecEntry, backend_entry, codec_entry, make_backend, make_codec

SOURCE = "source"  # the codec that passes the bytes of picture files through


class Configuration(str):
    """What is compared.  Its text, which is canonical, is its name in plans, records, reports and on the screen.

    It is made of ``BACKEND[:OPTIONS][+CODEC[:OPTIONS]][@FOLDER]``; a bare backend takes its default codec for arrays of
    one size.  Raises UsageError for a name or an option that does not exist, and for an empty folder.
    """

    backend: str
    codec: str
    backend_options: Options
    codec_options: Options
    folder: str | None  # where it writes, as typed; None where the run decides
    method: str  # the text without the folder
    codec_text: str  # the codec with its options

    def __new__(cls, text: str) -> Self:
        method, at, folder = text.partition("@")
        if at and not folder:
            raise UsageError(f"{text!r} names no folder behind its @: write {method}@/some/folder.")
        left, _, right = method.partition("+")
        backend, _, backend_options = left.partition(":")
        codec, _, codec_options = right.partition(":")
        entry = backend_entry(backend)
        codec = codec or entry.codec
        if entry.codecs and codec not in entry.codecs:
            raise UsageError(f"{text!r}: {backend} keeps no {codec} records: choose {' or '.join(entry.codecs)}.")
        options = parse_options(entry.options, backend_options, backend)
        of_codec = parse_options(codec_entry(codec).options, codec_options, codec)
        codec_text = _with(codec, of_codec)
        method = f"{_with(backend, options)}+{codec_text}"
        self = super().__new__(cls, f"{method}@{folder}" if folder else method)
        self.backend, self.codec, self.backend_options, self.codec_options = backend, codec, options, of_codec
        self.folder, self.method, self.codec_text = folder or None, method, codec_text
        return self

    @classmethod
    def for_dataset(cls, text: str, facts: DatasetFacts | None) -> Self:
        """Read ``text`` as it is meant for a dataset: without a codec, a bare backend takes the default for its images.

        Raises UsageError also for ``source`` where the dataset has no files, and for a codec or a reference that does
        not keep its images.
        """
        method, at, folder = text.partition("@")
        if facts is not None and "+" not in method:
            text = f"{method}+{_default_codec(backend_entry(method.partition(':')[0]), facts)}{at}{folder}"
        configuration = cls(text)
        configuration.check(facts)
        return configuration

    def check(self, facts: DatasetFacts | None) -> None:
        """Raise UsageError where it cannot keep the images of a dataset; without one there is nothing to check."""
        if facts is None:
            return
        if self.is_reference and self.backend != LIMIT and facts.image_shape is None:
            raise UsageError(f"{str(self)!r} keeps images of one size only, as the article's code does.")
        if self.codec == SOURCE and facts.source_bytes is None:
            raise UsageError(f"{str(self)!r}: {facts.kind} keeps arrays, not files to pass through: choose raw or png.")
        if facts.image_shape is not None and facts.image_shape[2] not in self.codec_entry.channels:
            channels = facts.image_shape[2]
            raise UsageError(f"{str(self)!r}: {self.codec} keeps no images of {channels} channels: choose raw or png.")

    def with_codec(self, name: str) -> Configuration:
        """The same backend and folder with another codec, which has its default options."""
        backend = _with(self.backend, self.backend_options)
        return Configuration(f"{backend}+{name}" + (f"@{self.folder}" if self.folder else ""))

    @property
    def entry(self) -> BackendEntry:
        return backend_entry(self.backend)

    @property
    def codec_entry(self) -> CodecEntry:
        return codec_entry(self.codec)

    def make_backend(self) -> Backend:
        """The backend with its options."""
        return make_backend(self.backend, self.backend_options)

    def make_codec(self) -> Codec:
        """The codec with its options."""
        return make_codec(self.codec, self.codec_options)

    @property
    def is_lossless(self) -> bool:
        """Whether what is read is what was stored, bit for bit."""
        return self.codec_entry.lossless

    @property
    def is_reference(self) -> bool:
        """Whether it is measured to compare with, such as bare bytes, and is no candidate itself."""
        return self.entry.reference


def configurations_of(*texts: str) -> tuple[Configuration, ...]:
    """The configurations that are written so, without repetitions."""
    return tuple(dict.fromkeys(map(Configuration, texts)))


def is_configuration(text: object) -> bool:
    """Whether ``text`` can be read; a record of another machine may name a backend that is not there."""
    try:
        return isinstance(text, str) and bool(Configuration(text))
    except UsageError:
        return False


def _default_codec(entry: BackendEntry, facts: DatasetFacts) -> str:
    """That of the backend where it suits: for images of one size, unless they are pictures that it would encode."""
    pictures, one_size = facts.source_bytes is not None, facts.image_shape is not None
    if (one_size and not (pictures and entry.codec == "png")) or (entry.reference and entry.name != LIMIT):
        return entry.codec
    return SOURCE if pictures else "png"


def _with(name: str, options: Options) -> str:
    text = format_options(options)
    return f"{name}:{text}" if text else name
