"""Readers and writers, failures and kills: the home is always the old or the new, whole."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

import duckdb
import pytest
from conftest import tree_of
from small import SmallAtlas, labels

import atlasdb
from atlasdb.database import head, reading, writing
from atlasdb.errors import HomeBusyError, HomeError
from atlasdb.filelock import lease
from atlasdb.home import Home

NAME = "small_rat_50um"


def run(script: str, *words: str) -> subprocess.Popen[str]:
    """Start a Python process."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_default_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert Home.resolve("~/x").folder == tmp_path / "user" / "x"
    assert Home.resolve().folder.is_relative_to(tmp_path / "user")
    assert Home.resolve().folder.name == "atlasdb"
    monkeypatch.setenv("ATLASDB_HOME", str(tmp_path / "named"))
    assert Home.resolve().folder == tmp_path / "named"


def test_asking_a_home_that_is_not_there(db: atlasdb.Database) -> None:
    with pytest.raises(atlasdb.HomeNotFoundError, match="run `atlasdb ingest ATLAS`"):
        db.atlases()
    assert not db.home.folder.exists()


def test_a_file_that_is_no_database(db: atlasdb.Database) -> None:
    db.home.folder.mkdir()
    db.home.database.write_bytes(b"junk" * 5000)
    with pytest.raises(HomeError, match="is no DuckDB database"):
        db.ingest("phantom_mouse_100um")
    assert db.home.database.read_bytes() == b"junk" * 5000


def test_readers_see_the_old_or_the_new_and_never_wait(
    db: atlasdb.Database, tmp_path: Path
) -> None:
    """Threads and a process read all the while an atlas is replaced again and again."""
    counts = set()
    folders = []
    for size in range(3, 7):
        annotation = labels()[..., :size]
        folders.append(SmallAtlas(annotation=annotation).write(tmp_path / str(size)))
        counts.add(int(np_count(annotation)))
    db.ingest(str(folders[0]))
    stop = tmp_path / "stop"
    script = f"""
import pathlib, sys, time, atlasdb
db = atlasdb.connect({str(db.home.folder)!r})
seen, longest = set(), 0.0
while not pathlib.Path({str(stop)!r}).exists():
    begin = time.monotonic()
    row = db.sql("SELECT voxels, (SELECT sum(voxels) FROM {NAME}.label) AS total "
                 "FROM {NAME}.extent WHERE structure_id = 997 AND hemisphere = 'both'").to_pylist()
    longest = max(longest, time.monotonic() - begin)
    assert len(row) == 1 and row[0]["voxels"] == row[0]["total"], row
    seen.add(row[0]["voxels"])
print(sorted(seen))
"""
    process = run(script)
    problems: list[BaseException] = []

    def read() -> None:
        try:
            while not stop.exists():
                with reading(db.home) as held:
                    query = f"SELECT path FROM {NAME}.volume"
                    first = held.execute(query).fetchall()
                    time.sleep(0.01)
                    assert held.execute(query).fetchall() == first, "one connection, one state"
        except BaseException as error:  # noqa: BLE001 (reported by the main thread)
            problems.append(error)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for number in range(12):
            report = db.ingest(str(folders[number % 4]), force=True)
            assert report.status == "replaced"
    finally:
        stop.touch()
        for thread in threads:
            thread.join()
    output, errors = process.communicate(timeout=60)
    assert (problems, errors) == ([], "")
    assert set(eval(output)) <= counts  # noqa: S307 (a list of integers that this test printed)
    assert len(list(db.home.folder.glob(f"volumes/{NAME}/*/*"))) == 1


def np_count(annotation: object) -> int:
    import numpy as np

    return int(np.count_nonzero(np.asarray(annotation)))


def test_a_session_left_open_keeps_its_state_and_others_see_the_new(
    db: atlasdb.Database, tmp_path: Path
) -> None:
    db.ingest("phantom_mouse_100um")
    with reading(db.home) as held:
        db.ingest(str(SmallAtlas().write(tmp_path)))
        assert held.execute("SELECT count(*) FROM atlas").fetchall() == [(1,)]
        assert db.atlases().num_rows == 2


def test_two_writers_take_turns(db: atlasdb.Database, tmp_path: Path) -> None:
    """Four processes ingest four versions at once, and four the same one."""
    folders = [SmallAtlas(version=f"1.{n}").write(tmp_path) for n in (1, 2, 3, 4)]
    script = "import sys, atlasdb; print(atlasdb.connect(sys.argv[1]).ingest(sys.argv[2]).status)"
    running = [run(script, str(db.home.folder), str(folder)) for folder in folders]
    done = [process.communicate(timeout=120) for process in running]
    assert [errors for _, errors in done] == [""] * 4
    assert db.atlases().num_rows == 4
    db.remove(f"{NAME}@1.4")
    running = [run(script, str(db.home.folder), str(folders[3])) for _ in range(4)]
    done = [process.communicate(timeout=120) for process in running]
    assert sorted(output.strip() for output, _ in done) == ["ingested", *["present"] * 3]
    assert all(result.ok for n in range(1, 5) for result in db.check(f"{NAME}@1.{n}"))
    assert len(list(db.home.folder.glob(f"volumes/{NAME}/*/*"))) == 4


def test_threads_that_make_homes_at_the_same_time(tmp_path: Path) -> None:
    folder = str(SmallAtlas().write(tmp_path))
    homes = [atlasdb.connect(tmp_path / name) for name in ("a", "b", "c", "a")]
    problems: list[BaseException] = []

    def ingest(db: atlasdb.Database) -> None:
        try:
            db.ingest(folder)
        except BaseException as error:  # noqa: BLE001 (reported by the main thread)
            problems.append(error)

    threads = [threading.Thread(target=ingest, args=(db,)) for db in homes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert all(result.ok for db in homes for result in db.check(NAME))


def test_waiting_for_a_writer_has_a_bound_and_names_it(db: atlasdb.Database) -> None:
    db.ingest("phantom_mouse_100um")
    with (
        db.home.locked(),
        pytest.raises(HomeBusyError, match=f"process {os.getpid()}; waited 0.2 s"),
        writing(db.home, timeout_s=0.2),
    ):
        pass


def test_nobody_else_can_begin_to_write_while_a_draft_is_made(db: atlasdb.Database) -> None:
    db.ingest("phantom_mouse_100um")
    script = "import sys, duckdb; duckdb.connect(sys.argv[1])"
    with writing(db.home) as connection:
        connection.execute("SELECT 1")
        _, errors = run(script, str(db.home.database)).communicate(timeout=60)
        assert f"PID {os.getpid()}" in errors
        assert db.atlases().num_rows == 1, "reading goes on"
    _, errors = run(script, str(db.home.database)).communicate(timeout=60)
    assert errors == ""


HOLD = """
import sys, duckdb
held = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "reading")
print("open", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("how", ["reading", "writing"])
def test_other_programs_that_hold_the_database(
    db: atlasdb.Database, tmp_path: Path, how: str
) -> None:
    db.ingest("phantom_mouse_100um")
    before = db.home.database.read_bytes()
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(db.home.database), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    folder = str(SmallAtlas().write(tmp_path))
    try:
        if how == "reading":
            assert db.ingest(folder).status == "ingested"
            return
        for use in (
            db.atlases,
            lambda: db.ingest(folder),
            lambda: db.remove("phantom_mouse_100um"),
        ):
            with pytest.raises(HomeBusyError, match=rf"open for writing in python.*{process.pid}"):
                use()
        assert db.home.database.read_bytes() == before
    finally:
        process.communicate("")
    assert db.ingest(folder).status in {"ingested", "present"}


def test_a_connection_of_this_process_that_writes(db: atlasdb.Database, tmp_path: Path) -> None:
    db.ingest("phantom_mouse_100um")
    with (
        duckdb.connect(str(db.home.database)),
        pytest.raises(HomeBusyError, match="in this very process"),
    ):
        db.ingest(str(SmallAtlas().write(tmp_path)))


def test_changes_that_another_program_made_meanwhile_are_not_overwritten(
    db: atlasdb.Database,
) -> None:
    db.ingest("phantom_mouse_100um")

    def interfere() -> None:
        with db.home.draft() as draft, duckdb.connect(str(db.home.database)) as other:
            other.execute("CREATE TABLE mine AS SELECT 1 AS i")
            assert draft.path.exists()

    with pytest.raises(HomeBusyError, match="another program changed"):
        interfere()
    assert db.sql("FROM mine").to_pylist() == [{"i": 1}]
    assert not list(db.home.folder.glob(".atlas.duckdb.*"))


def test_a_folder_under_lease_is_swept_later(db: atlasdb.Database, tmp_path: Path) -> None:
    folder = SmallAtlas().write(tmp_path)
    db.ingest(str(folder))
    path = db.sql("SELECT path FROM volume WHERE kind = 'ranks'").to_pylist()[0]["path"]
    kept = (db.home.folder / path).parent
    with lease(kept):
        db.ingest(str(folder), force=True)
        assert (db.home.folder / path).is_file()
    db.ingest("phantom_mouse_100um")
    assert not kept.exists()
    with pytest.raises(FileNotFoundError), lease(kept):
        pass


@pytest.mark.parametrize("limit", [2_000, 200_000, 900_000, 2_000_000, 4_000_000])
def test_files_that_cannot_grow(db: atlasdb.Database, tmp_path: Path, limit: int) -> None:
    """A bound on file sizes stands for a full disk: each write fails at another place."""
    db.ingest(str(SmallAtlas().write(tmp_path)))
    before = tree_of(db.home.folder)
    script = """
import resource, signal, sys, atlasdb
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    atlasdb.connect(sys.argv[1]).ingest("phantom_mouse_100um")
except atlasdb.HomeError as error:
    print(error)
"""
    output, errors = run(script, str(db.home.folder), str(limit)).communicate(timeout=60)
    assert errors == ""
    assert "nothing was changed" in output
    assert len(output.splitlines()) == 1
    assert tree_of(db.home.folder) == before
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


@pytest.mark.parametrize("where", ["file", "file/deeper/home"])
def test_a_home_that_cannot_be_made(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(HomeError, match="cannot (write|use|open)|no atlas database"):
        atlasdb.connect(tmp_path / where).ingest("phantom_mouse_100um")
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_full_disk(tmp_path: Path) -> None:
    """A real one: a tmpfs of 12 MB, where the machine lets this process mount it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "none", str(disk)],
        capture_output=True,
        check=False,
    )
    if mount.returncode:
        pytest.skip("mounting a small disk needs a privilege that this process has not")
    try:
        db = atlasdb.connect(disk / "home")
        with pytest.raises(HomeError, match="No space left|nothing was changed"):
            db.ingest("phantom_mouse_100um")
        assert list(disk.iterdir()) == []
        db.ingest(str(SmallAtlas().write(tmp_path)))
        before = tree_of(db.home.folder)
        with pytest.raises(HomeError, match="nothing was changed"):
            db.ingest("phantom_mouse_100um")
        assert tree_of(db.home.folder) == before
        assert all(result.ok for result in db.check(NAME))
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        assert db.atlases().num_rows == 1
        with pytest.raises(HomeError, match="Read-only file system; nothing was changed"):
            db.ingest("phantom_mouse_100um")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("name", ["100%41", "a#b", "a&b=c", "ü ' \" ;"])
def test_homes_whose_names_look_like_something_else(tmp_path: Path, name: str) -> None:
    db = atlasdb.connect(tmp_path / "in" / name)
    db.ingest(str(SmallAtlas().write(tmp_path)))
    assert all(result.ok for result in db.check(NAME))
    assert db.upgrade() == (head(), head())
    with db.session(atlas=NAME) as session:
        assert session.connection().exec_driver_sql("SELECT count(*) FROM structure").scalar() == 7
    assert [path.name for path in (tmp_path / "in").iterdir()] == [name]


@pytest.mark.parametrize(
    "name", ["x" * 300, "~nosuchuser/x", "a\udc80b", "a\0b", "a?b", "x?access_mode=read_only"]
)
def test_homes_that_cannot_be(tmp_path: Path, name: str) -> None:
    where = name if name.startswith("~") else f"{tmp_path}/{name}"
    with pytest.raises(HomeError):
        atlasdb.connect(where).ingest("phantom_mouse_100um")
    with pytest.raises(HomeError):
        atlasdb.connect(where).atlases()
    assert list(tmp_path.iterdir()) == []


def test_disks_of_every_size(tmp_path: Path) -> None:
    """A new home on a disk that fills at another moment each time: nothing is left on it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    folder = str(SmallAtlas().write(tmp_path))
    outcomes = []
    for kilobytes in [*range(16, 128, 12), *range(128, 8192, 900)]:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "none", str(disk)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("mounting a small disk needs a privilege that this process has not")
        try:
            db = atlasdb.connect(disk / "home")
            try:
                db.ingest(folder)
            except HomeError:
                outcomes.append("full")
            else:
                outcomes.append("ingested")
            if outcomes[-1] == "full":
                assert list(disk.rglob("*")) == []
            else:
                assert all(result.ok for result in db.check(NAME))
        finally:
            subprocess.run(["umount", str(disk)], check=True)
    assert outcomes == sorted(outcomes)
    assert {"full", "ingested"} == set(outcomes)


def test_what_a_killed_process_left_is_swept_by_the_next_command(
    db: atlasdb.Database, tmp_path: Path
) -> None:
    """Whichever it is; as long as the process lives, nothing of it is touched."""
    folder = SmallAtlas().write(tmp_path)
    db.ingest(str(folder))
    before = tree_of(db.home.folder)
    left = db.home.folder / "downloads" / "staging-0123"
    unnamed = db.home.folder / "volumes" / "gone_10um" / "1.0" / "abc"
    lock = db.home.folder / ".lock"

    def die(*, staging: bool) -> None:
        if staging:
            left.mkdir(parents=True)
            (left / "annotation.tiff").write_bytes(b"x" * 100)
        else:
            (db.home.folder / ".atlas.duckdb.0123").write_bytes(b"x")
            (db.home.folder / ".atlas.duckdb.0123.tmp").mkdir()
            unnamed.mkdir(parents=True)
            lock.write_text("12345")

    def fail() -> None:
        with pytest.raises(atlasdb.UnknownAtlasError):
            db.remove("gone_10um")

    commands = (
        fail,
        lambda: db.ingest(NAME),
        lambda: db.ingest(str(folder)),
        db.atlases,
        lambda: db.sql("SELECT 1"),
        lambda: db.voxels(NAME),
    )
    for command in commands:
        for staging in (True, False):
            die(staging=staging)
            with lease(left) if staging else db.home.locked():
                db.atlases()
                assert left.exists() or unnamed.exists()
            command()
            assert tree_of(db.home.folder) == before
            assert not unnamed.parents[1].exists()
            assert not left.parent.exists()


@pytest.mark.parametrize("where", ["sync_folder", "_sweep"])
@pytest.mark.parametrize("error", [OSError(22, "no such operation"), KeyboardInterrupt()])
def test_what_fails_after_the_swap_does_not_undo_it(
    db: atlasdb.Database, monkeypatch: pytest.MonkeyPatch, where: str, error: BaseException
) -> None:
    """Rows that are published keep their files."""
    db.ingest("phantom_mouse_100um")

    def fails(*_: object) -> None:
        raise error

    if where == "_sweep":
        monkeypatch.setattr(Home, "_sweep", fails)
    else:
        real = __import__("atlasdb.home").home.sync_folder
        monkeypatch.setattr(
            "atlasdb.home.sync_folder", lambda f: fails() if f == db.home.folder else real(f)
        )
    with contextlib.suppress(KeyboardInterrupt):
        db.ingest("phantom_mouse_100um", force=True)
    monkeypatch.undo()
    assert [result for result in db.check("phantom_mouse_100um") if not result.ok] == []
    assert db.ingest("phantom_mouse_100um").status == "present"
    assert len(list(db.home.folder.glob("volumes/*/*/*"))) == 1


WRITES = """
import sys, duckdb
held = duckdb.connect(sys.argv[1])
held.execute("CREATE TABLE mine AS SELECT 1 AS i")
print("open", flush=True)
sys.stdin.read()
"""


def test_another_program_with_unfinished_changes_is_named(
    db: atlasdb.Database, tmp_path: Path
) -> None:
    db.ingest("phantom_mouse_100um")
    process = subprocess.Popen(
        [sys.executable, "-c", WRITES, str(db.home.database)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    assert db.home.database.with_name("atlas.duckdb.wal").exists()
    with pytest.raises(HomeBusyError, match=f"process {process.pid}"):
        db.ingest("phantom_mouse_100um", force=True)
    process.kill()
    process.communicate()
    with pytest.raises(HomeBusyError, match="not yet part of it"):
        db.ingest("phantom_mouse_100um", force=True)
    with duckdb.connect(str(db.home.database)) as other:
        assert other.execute("FROM mine").fetchall() == [(1,)]
    assert db.ingest("phantom_mouse_100um", force=True).status == "replaced"
    assert db.sql("FROM mine").num_rows == 1


def test_checking_while_another_process_replaces(db: atlasdb.Database, tmp_path: Path) -> None:
    folder = SmallAtlas().write(tmp_path)
    db.ingest(str(folder))
    script = """
import sys, atlasdb
for _ in range(12):
    atlasdb.connect(sys.argv[1]).ingest(sys.argv[2], force=True)
"""
    process = run(script, str(db.home.folder), str(folder))
    checks = 0
    while process.poll() is None:
        assert [result for result in db.check(NAME) if not result.ok] == []
        checks += 1
    assert process.communicate()[1] == ""
    assert checks > 3


def test_a_database_that_is_damaged_is_named(db: atlasdb.Database) -> None:
    db.ingest("phantom_mouse_100um")
    content = bytearray(db.home.database.read_bytes())
    rng = random.Random(3)
    for _ in range(8):
        broken = bytearray(content)
        for _ in range(400):
            broken[rng.randrange(12_288, len(content))] ^= 255
        db.home.database.write_bytes(broken)
        # It may hit nothing that is read; else the error is one of ours.
        with contextlib.suppress(atlasdb.AtlasDBError):
            db.check("phantom_mouse_100um")
