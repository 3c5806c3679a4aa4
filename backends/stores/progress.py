"""How far a conversion is.  Imports no numpy, so that events and their readers are light."""

from __future__ import annotations

import msgspec


class ShardState(msgspec.Struct, frozen=True):
    """A shard that is being made, or was sealed a moment ago."""

    path: str
    images: int  # expected, or what it has
    written: int
    checked: int  # read back and compared
    bytes: int = 0  # once it is sealed; that is when it is durable


class Progress(msgspec.Struct, frozen=True):
    """How far a conversion is: of its part where it makes one."""

    images: int
    written: int
    durable: int
    shards: int
    sealed: int
    failures: int  # pictures in durable shards that do not decode
    bytes: int  # durable
    resumed: int  # images that were durable before
    shown: tuple[ShardState, ...] = ()  # those being made, and the last sealed
    paused: bool = False
