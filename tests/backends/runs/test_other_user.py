"""Another user of the machine cannot make a start remove or wait for anything: real processes with a second user id."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from backends.bench import workdir
from backends.bench.configuration import configurations_of
from backends.bench.plan import Plan
from backends.bench.workdir import MadeFolder, WorkFolder, clean
from backends.errors import NotAllowed
from backends.runs import events
from backends.runs import folder as folders_module
from backends.runs import job as jobs_module
from backends.runs.folder import Journal, lock_holder, new_folder
from backends.runs.history import list_runs
from backends.runs.job import start_job, sweep

OTHER = 12345
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become a second user")


@dataclass(frozen=True)
class Scene:
    """``shared`` is a folder where everybody may write; ``home`` has the victim's Documents and an empty folder."""

    shared: Path
    home: Path
    jobs: Path

    @property
    def documents(self) -> Path:
        return self.home / "Documents"


@pytest.fixture
def scene() -> Iterator[Scene]:
    root = Path(tempfile.mkdtemp(prefix="imgstore-test-"))
    root.chmod(0o755)
    found = Scene(root / "shared", root / "home", root / "state" / "jobs")
    found.shared.mkdir()
    found.shared.chmod(0o777)
    found.documents.mkdir(parents=True)
    (found.documents / "thesis").write_text("years of work")
    (found.home / "empty").mkdir()
    yield found
    shutil.rmtree(root)


@contextlib.contextmanager
def other_user(code: str, *arguments: Path, to_its_end: bool = False) -> Iterator[list[str]]:
    """Run ``code`` as another user; from the line that it prints it goes on in the background until the block ends.

    The list has then what it printed after that line.
    """
    start = f"import os, sys; from pathlib import Path; os.setgroups([]); os.setgid({OTHER}); os.setuid({OTHER})\n"
    start += "paths = [Path(path) for path in sys.argv[1:]]\n"
    command, said = [sys.executable, "-c", start + code, *map(str, arguments)], list[str]()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        try:
            yield said
        finally:
            if not to_its_end:
                process.kill()
            rest, errors = process.communicate()
            said.append(rest)
            assert first, errors


def run_as_other_user(code: str, *arguments: Path) -> None:
    with other_user(code, *arguments, to_its_end=True):
        pass


def killed_job(scene: Scene) -> Path:
    """The work folder of a job that was killed."""
    plan = Plan(
        "sample", configurations_of("hdf5"), (500,), ("store", "read"), repeats=1_000, work_dir=str(scene.shared)
    )
    job = start_job(plan, scene.jobs)
    found = job.follow()
    start = next(event for event in found if isinstance(event, events.RunStarted))
    next(event for event in found if isinstance(event, events.TrialFinished))
    os.killpg(lock_holder(job.folder) or 0, signal.SIGKILL)
    list(found)
    assert [facts.state for facts in list_runs(scene.jobs)] == ["died"]
    return Path(start.work[0])


FOREIGN = """
work, home = paths
work.rename(work.with_name("aside"))
work.mkdir()
(work / "theirs").write_text("of the other user")
(work / "made.jsonl").write_text('{"made": "theirs"}\\n')
print("ready", flush=True)
"""
LINK = """
work, home = paths
work.rename(work.with_name("aside"))
work.symlink_to(home)
print("ready", flush=True)
"""
FIFO = """
work, home = paths
work.rename(work.with_name("aside"))
work.mkdir(mode=0o755)
os.mkfifo(work / "made.jsonl")
print("ready", flush=True)
while True:
    try:
        fifo = os.open(work / "made.jsonl", os.O_WRONLY | os.O_NONBLOCK)
        break
    except OSError:  # nobody reads it yet
        pass
print("somebody waited", flush=True)
"""
FIFO_AND_SWAP = (
    FIFO
    + """
work.rename(work.with_name("aside too"))
work.symlink_to(home)
os.write(fifo, b'{"made": "Documents"}\\n')
os.close(fifo)
"""
)
ATTACKS = {"foreign": FOREIGN, "link": LINK, "fifo": FIFO, "fifo and swap": FIFO_AND_SWAP}


def attack(scene: Scene, name: str, start: Callable[[], object]) -> str:
    """What harm is done when another user attacks a start; empty for none."""
    work = killed_job(scene)
    if name == "link":
        (scene.home / "made.jsonl").write_text('{"made": "Documents"}\n')
    with other_user(ATTACKS[name], work, scene.home) as said:
        start()
    if not (scene.documents / "thesis").exists():
        return "Documents gone"
    if name == "foreign" and not (work / "theirs").exists():
        return "theirs gone"
    return "waited" if "somebody waited" in said[0] else ""


@pytest.mark.parametrize("name", ATTACKS)
def test_start_under_attack_does_no_harm(scene: Scene, name: str) -> None:
    def start() -> None:
        plan = Plan("sample", configurations_of("hdf5"), (10,), ("store",), repeats=1, work_dir=str(scene.shared))
        assert isinstance(list(start_job(plan, scene.jobs).follow())[-1], events.RunFinished)

    assert attack(scene, name, start) == ""


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        ("foreign", "theirs gone"),
        ("link", "Documents gone"),
        ("fifo", "waited"),
        ("fifo and swap", "Documents gone"),
    ],
)
def test_cleaning_by_path_alone_does_harm(scene: Scene, name: str, harm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def clean_by_path(folders: tuple[MadeFolder, ...]) -> tuple[Path, ...]:
        root = Path(folders[0].path)
        for line in (root / "made.jsonl").read_text().splitlines():
            path = root / json.loads(line)["made"]
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return ()

    monkeypatch.setattr(jobs_module, "clean", clean_by_path)
    assert attack(scene, name, lambda: sweep(scene.jobs)) == harm


def test_foreign_folder_without_identity_check_is_emptied(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workdir, "_is", lambda found, folder: True)
    assert attack(scene, "foreign", lambda: sweep(scene.jobs)) == "theirs gone"


@pytest.mark.parametrize("checked", [True, False])
def test_folder_above_replaced_by_link_removes_nothing(
    scene: Scene, checked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = WorkFolder(scene.shared / "new" / "empty" / "work")
    code = "paths[0].rename(paths[0].with_name('aside')); paths[0].symlink_to(paths[1]); print()"
    run_as_other_user(code, scene.shared / "new", scene.home)
    if not checked:
        monkeypatch.setattr(workdir, "_is", lambda found, folder: True)
    clean(work.made)
    assert (scene.home / "empty").exists() == checked


@pytest.mark.parametrize("checked", [True, False])
def test_work_folder_replaced_while_made_is_refused(
    scene: Scene, checked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the check, what is written under the name of a file of the run goes to where the other user likes."""
    root, make = scene.shared / "work", workdir._make
    thesis = scene.documents / "thesis"
    code = "paths[0].rename(paths[0].with_name('aside')); paths[0].mkdir()\n"
    code += "(paths[0] / 'counter').symlink_to(paths[1]); print()"

    def replaced(folder: Path) -> MadeFolder:
        make(folder)
        run_as_other_user(code, root, thesis)
        found = folder.lstat()
        owner = found.st_uid if checked else os.geteuid()
        if not checked:
            monkeypatch.setattr(workdir, "_is", lambda found, folder: True)
        return MadeFolder(str(folder), found.st_dev, found.st_ino, owner)

    monkeypatch.setattr(workdir, "_make", replaced)
    if checked:
        with pytest.raises(NotAllowed, match="another user has replaced it"):
            WorkFolder(root)
        assert [path.name for path in root.iterdir()] == ["counter"]
    else:
        WorkFolder(root).claim("counter").write_bytes(b"")
    assert (thesis.read_text() == "years of work") == checked


@pytest.mark.parametrize("marked", [True, False])
def test_cleaned_job_is_never_swept_again(scene: Scene, marked: bool) -> None:
    """Not even where the same inode has become another folder of the same user."""
    work = killed_job(scene)
    assert sweep(scene.jobs) == ()
    assert not work.exists()
    again = WorkFolder(work)
    again.claim("precious").write_text("not of the job")
    (facts,) = list_runs(scene.jobs)
    Journal((scene.jobs / facts.id) / "events.jsonl").append(events.WorkFolderMade(0.0, again.made))
    if not marked:
        ((scene.jobs / facts.id) / "cleaned").unlink()
    sweep(scene.jobs)
    assert (work / "precious").exists() == marked


@pytest.mark.parametrize("checked", [True, False])
def test_job_planted_by_another_user_is_passed_over(
    scene: Scene, checked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = new_folder(scene.jobs, Plan("sample", configurations_of("hdf5"), (10,)))
    scene.jobs.chmod(0o777)
    planted = "planted = paths[0] / '20300101-000000-aaaa'; planted.mkdir(); "
    spec = (ours / "spec.json").read_text()
    run_as_other_user(f"{planted}(planted / 'spec.json').write_text({spec!r}); print()", scene.jobs)
    if not checked:
        monkeypatch.setattr(folders_module, "owner_of", lambda path: os.geteuid())
    assert len(list_runs(scene.jobs)) == (1 if checked else 2)


def test_fifo_for_a_record_of_a_job_is_not_waited_for(scene: Scene) -> None:
    ours = new_folder(scene.jobs, Plan("sample", configurations_of("hdf5"), (10,)))
    (ours / "spec.json").unlink()
    os.mkfifo(ours / "spec.json")
    assert list_runs(scene.jobs) == ()


def test_folder_of_jobs_is_closed_to_others(scene: Scene) -> None:
    plan = Plan("sample", configurations_of("hdf5"), (10,))
    scene.jobs.mkdir(parents=True, mode=0o755)
    new_folder(scene.jobs, plan)
    assert stat.S_IMODE(scene.jobs.stat().st_mode) == 0o700
    theirs = scene.shared / "jobs"
    run_as_other_user("paths[0].mkdir(mode=0o755); print()", theirs)
    new_folder(theirs, plan)
    assert stat.S_IMODE(theirs.stat().st_mode) == 0o755  # not ours to change
