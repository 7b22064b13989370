"""Kill atlasdb at random moments, and at every step, and look at what is left.

Run it as ``python reliability/crashes.py [--kills N] [--steps N] [--seed N]``. For each operation
that changes a home it kills N processes (SIGKILL) at seeded random moments of their work, and more
before every N-th of their steps in the file system (a file opened, renamed or removed, a folder
made). After each kill it demands that

* the home opens, and is exactly the home before the operation or the one after it;
* every atlas that it lists passes ``atlasdb check``, as do the tables of cells;
* the same command then succeeds, and the home is the one after the operation;
* nothing is left that no row names: no blobs, drafts, staging folders or parts.

It prints a Markdown table, and ends with status 1 if anything was otherwise.

Processes are forked from one that has imported everything and opened nothing, so that the moments
fall into the work and not into the start of Python.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import operations
from machine import machine
from operations import OPERATIONS, Operation, State

import atlasdb
import atlasdb.cells.registering
import atlasdb.ingest
import atlasdb.mesh_fetching
import atlasdb.migrate
import atlasdb.updating
import atlasdb.verify
from atlasdb.errors import AtlasDBError

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS = {
    "os.mkdir",
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.truncate",
    "os.link",
    "fcntl.flock",
    "shutil.rmtree",
    "shutil.copyfile",
}
"""The audit events that are steps; so is 'open' for writing."""


def forked(work: Callable[[], Any]) -> tuple[int, Any]:
    """Run a function in a child; return its wait status and what it returned."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reader)
            answer = json.dumps(work()).encode()
            with os.fdopen(writer, "wb") as pipe:
                pipe.write(answer)
            status = 0
        except BaseException:  # noqa: BLE001 (the child ends here, whatever it was)
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    return status, json.loads(answer) if answer else None


def in_child(work: Callable[[], Any]) -> Any:  # noqa: ANN401 (whatever JSON can say)
    """Run a function in a child, which must succeed."""
    status, answer = forked(work)
    if status:
        raise RuntimeError(f"a child ended with status {status}")
    return answer


def count_steps(work: Callable[[], object], stop: int = 0) -> int:
    """Run a function and count its steps in the file system; die before number `stop`."""
    count = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & 3
        if writes or event in STEPS:
            count += 1
            if count == stop:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    work()
    return count


def killed_after(seconds: float, work: Callable[[], object]) -> bool:
    """Run a function in a child and kill it; say whether it was still at work."""
    child = os.fork()
    if child == 0:
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 2)
        try:
            work()
        finally:
            os._exit(0)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


@dataclass
class Tally:
    """What was seen of one operation's kills."""

    kills: int = 0
    before: int = 0
    after: int = 0
    late: int = 0
    littered: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass
class Trial:
    """One operation, its home before and its home after."""

    operation: Operation
    folder: Path
    begin: Path
    before: Any = None
    after: Any = None
    seconds: float = 0.0

    @property
    def inputs(self) -> Path:
        """What the operation takes."""
        return self.folder / "inputs"

    def run(self, home: Path) -> None:
        """Do the operation."""
        self.operation.run(atlasdb.connect(home), self.inputs)

    def fresh(self) -> Path:
        """Copy the home that the operation begins in."""
        home = self.folder / "home"
        shutil.rmtree(home, ignore_errors=True)
        if self.operation.name == "db relocate":  # away from where the views look
            home = self.folder / "moved"
            shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(self.begin, home)
        return home

    def measure(self) -> None:
        """Do it undisturbed: how long it takes, how many steps, what comes out."""
        self.before = in_child(lambda: looked_at(self.fresh()))
        home = self.fresh()
        begin = time.monotonic()
        in_child(lambda: self.run(home))
        self.seconds = time.monotonic() - begin
        self.after = in_child(lambda: looked_at(home))

    def count(self) -> int:
        """Do it undisturbed, and count its steps."""
        home = self.fresh()
        return int(in_child(lambda: count_steps(lambda: self.run(home))))

    def judge(self, home: Path, tally: Tally, moment: str) -> None:
        """Look at what a kill left, repeat the command, and look again."""
        problems = tally.problems
        say = f"{self.operation.name}, killed {moment}: "
        tally.littered += bool(in_child(lambda: operations.litter_of(home)))
        status, found = forked(lambda: looked_at(home))
        if status or found not in (self.before, self.after):
            problems.append(f"{say}neither the old nor the new home: {found}")
            return
        tally.before += found == self.before
        tally.after += found != self.before
        litter = in_child(lambda: operations.litter_of(home))
        if litter and self.operation.name != "db upgrade":  # no command reads an older schema
            problems.append(f"{say}the next command leaves {', '.join(litter)}")
        status, outcome = forked(lambda: self.again(home))
        if status or outcome not in ("done", "was done"):
            problems.append(f"{say}the same command then fails: {outcome}")
            return
        if outcome == "was done" and found != self.after:
            problems.append(f"{say}called done, and is not")
        if in_child(lambda: looked_at(home)) != self.after:
            problems.append(f"{say}the same command gives another home")
        litter = in_child(lambda: operations.litter_of(home))
        if litter:
            problems.append(f"{say}left {', '.join(litter)}")

    def again(self, home: Path) -> str:
        """Repeat the command."""
        try:
            self.run(home)
        except AtlasDBError as error:
            done = self.operation.done
            return "was done" if done and str(error).startswith(done) else str(error)
        return "done"


def looked_at(home: Path) -> list[Any]:
    """Return a home's state, and what is wrong with it."""
    try:
        state: State = operations.state_of(home)
        return json.loads(json.dumps([state, operations.problems_of(home)]))  # type: ignore[no-any-return]
    except atlasdb.SchemaVersionError as error:
        with duckdb.connect() as connection:
            file = str(home / "atlas.duckdb").replace("'", "''")
            connection.execute(f"ATTACH '{file}' AS a (READ_ONLY)")
            rows = connection.execute("SELECT name, version FROM a.main.atlas ORDER BY 1, 2")
            return [str(error).partition(": ")[0].rpartition("schema ")[2], rows.fetchall()]


def crash(trial: Trial, kills: int, every: int, seed: int) -> Tally:
    """Kill an operation at random moments, and before every so many steps."""
    tally = Tally()
    chance = random.Random(f"{seed} {trial.operation.name}")  # noqa: S311 (moments, no secrets)
    while tally.kills < kills:
        home = trial.fresh()
        seconds = chance.uniform(0, trial.seconds)
        if killed_after(seconds, partial(trial.run, home)):
            tally.kills += 1
        else:
            tally.late += 1
            if tally.late > 3 * kills + 3:
                break
        trial.judge(home, tally, f"after {seconds:.3f} s")
    steps = trial.count() if every else 0
    for step in range(1 + seed % max(1, every), steps + 1, every or 1):
        home = trial.fresh()
        status, _ = forked(partial(count_steps, partial(trial.run, home), step))
        if os.WIFSIGNALED(status):
            tally.kills += 1
        else:
            tally.late += 1
        trial.judge(home, tally, f"before step {step}")
    return tally


def main() -> int:
    """Kill, print and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=20, help="random kills of each operation")
    parser.add_argument("--steps", type=int, default=4, help="kill before every N-th step; 0: none")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", help="an operation; may be repeated")
    given = parser.parse_args()
    print("| operation | time | kills | left old | left new | with litter | defects |")
    print("|---|---|---|---|---|---|---|")
    total, defects = 0, []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        in_child(lambda: operations.write_inputs(folder / "inputs"))
        in_child(lambda: operations.write_home(folder / "first", folder / "inputs"))
        for operation in OPERATIONS:
            if not given.only or operation.name in given.only:
                begin = folder / "begin"
                shutil.rmtree(begin, ignore_errors=True)
                shutil.copytree(folder / "first", begin)
                in_child(partial(operations.prepare, operation, begin, folder / "inputs"))
                trial = Trial(operation, folder, begin)
                trial.measure()
                tally = crash(trial, given.kills, given.steps, given.seed)
                total += tally.kills
                defects += tally.problems
                print(
                    f"| {operation.name} | {1000 * trial.seconds:,.0f} ms | "
                    f"{tally.kills} | {tally.before} | {tally.after} | {tally.littered} | "
                    f"{len(tally.problems)} |",
                    flush=True,
                )
    print(f"\n{total:,} kills, {len(defects)} defects; seed {given.seed}; {machine()}")
    for defect in defects:
        print(f"* {defect}")
    return bool(defects)


if __name__ == "__main__":
    sys.exit(main())
