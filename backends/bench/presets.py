"""Plans that are known by a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.bench.plan import Plan
from backends.errors import UsageError

if TYPE_CHECKING:
    from backends.datasets.base import DatasetFacts

ARTICLE = "article"
ARTICLE_SIZES = (10, 100, 1_000, 10_000, 100_000)


def article_plan(dataset: str, facts: DatasetFacts) -> Plan:
    """The experiment of "Three Ways of Storing and Accessing Lots of Images in Python".

    One image, then 10 to 100,000: the first ones, repeated where the dataset has fewer; stored and read in the
    article's three ways as its code does it, and in the same three ways as this library does it.

    Raises
    ------
    UsageError
        The article's code keeps arrays of one size, grey or RGB, with labels of one byte.
    """
    shape = facts.image_shape
    if shape is None or shape[2] not in (1, 3) or len(facts.classes) > 256:
        raise UsageError(
            "the article's experiment needs images of one size, grey or RGB, in at most 256 classes: "
            "run it on CIFAR-10, or on sample."
        )
    return Plan(
        dataset=dataset,
        configurations=(
            *("article-png", "article-lmdb", "article-hdf5"),
            *("files+png", "files+raw", "lmdb+raw", "hdf5+raw"),
        ),
        sizes=ARTICLE_SIZES,
        operations=("store", "read", "store-one", "read-one"),
        first=True,
        preset=ARTICLE,
    )
