"""Another user, or whoever made a store, cannot make a conversion or a repair write or remove anything elsewhere."""

from __future__ import annotations

import os
import shutil
from contextlib import AbstractContextManager, nullcontext

import pytest
from msgspec import structs

from backends.bench.configuration import Configuration
from backends.errors import Cancelled, NotAllowed
from backends.stores.convert import Control, convert
from backends.stores.journal import Lock
from backends.stores.manifest import read_manifest, write_manifest
from backends.stores.plan import Request
from backends.stores.verify import repair, verify
from tests.backends.runs.test_other_user import Scene, run_as_other_user, scene  # noqa: F401

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become a second user")
REQUEST = Request(dataset="sample", configuration=Configuration("npy+raw"), shard_images=1000)

with_and_without = pytest.mark.parametrize("checked", [True, False])


@pytest.fixture(autouse=True)
def protection(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if not request.getfixturevalue("checked"):
        monkeypatch.setattr(Lock, "check_folder", lambda self, shards: None)


def refused(why: str, checked: bool) -> AbstractContextManager[object]:
    """Whether something is ``checked``, and refused then."""
    return pytest.raises(NotAllowed, match=why) if checked else nullcontext()


@with_and_without
def test_store_is_not_made_in_a_folder_of_another_user(scene: Scene, checked: bool) -> None:  # noqa: F811
    theirs = scene.shared / "store"
    code = "paths[0].mkdir(); paths[0].chmod(0o777); lock = paths[0] / 'lock'; lock.touch(); lock.chmod(0o666); print()"
    run_as_other_user(code, theirs)
    with refused("belongs to another user", checked):
        convert(REQUEST, theirs, workers=1)
    assert (theirs / "imgstore.json").exists() != checked


@with_and_without
def test_conversion_that_goes_on_removes_nothing_behind_a_link(scene: Scene, checked: bool) -> None:  # noqa: F811
    """The folder of what is not finished leads to Documents, which has a file called like a shard."""
    store, journal = scene.home / "store", scene.home / "other/journal.jsonl"
    sealed: list[int] = []
    control = Control(report=lambda progress: sealed.append(progress.sealed), cancelled=lambda: any(sealed))
    with pytest.raises(Cancelled):
        convert(REQUEST, journal.parent, workers=1, control=control)
    store.mkdir()
    shutil.copy(journal, store)
    (scene.documents / "00001.tax").write_text("of this year")
    (store / "partial").symlink_to(scene.documents)
    with refused("partial is a link", checked):
        convert(REQUEST, store, workers=1, resume=True)
    assert (scene.documents / "00001.tax").exists() == checked


@with_and_without
def test_repair_removes_nothing_behind_a_link(scene: Scene, checked: bool) -> None:  # noqa: F811
    """The manifest of a store that somebody sent calls a file of Documents a shard of its own."""
    store = scene.home / "store"
    convert(REQUEST, store, workers=1)
    manifest = read_manifest(store)
    first, *rest = manifest.shards
    (store / "linked").symlink_to(scene.documents)
    write_manifest(store, structs.replace(manifest, shards=(structs.replace(first, path="linked/thesis"), *rest)))
    findings = verify(store)
    assert "linked/thesis" in {finding.path for finding in findings}
    with refused("linked is a link", checked):
        repair(store, findings)
    assert (scene.documents / "thesis").is_file() == checked
