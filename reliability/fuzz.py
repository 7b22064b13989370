"""Fuzz every parser, guided by the coverage of this project's own code.

Run it as ``python reliability/fuzz.py [--seconds N] [--only TARGET] [--seed N] [--keep FOLDER]``;
it needs ``pip install -e '.[fuzz]'``. Each target of ``tests/fuzz_targets.py`` runs in a process of
its own, two at a time, and begins with its inputs in ``tests/corpus``. It prints a Markdown table,
keeps inputs that a parser did not survive (or took over ten seconds or 2 GB for) in ``--keep``, and
ends with status 1 if there is one.
"""

from __future__ import annotations

import argparse
import os
import pkgutil
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from machine import machine

TESTS = Path(__file__).parents[1] / "tests"
CORPUS = TESTS / "corpus"
AT_ONCE = 2
LONGEST = 6_000  # bytes of an input
DONE = re.compile(r"Done (\d+) runs? in (\d+) second")
LAST_WORDS = re.compile(r"^(?:\w*(?:Error|Exception)\b|==\d+== ERR).*", re.MULTILINE)
STATE = re.compile(r"#(\d+)\s.*cov: (\d+) ft: (\d+) corp: (\d+)")


@dataclass(frozen=True)
class Result:
    """What came of a target."""

    name: str
    runs: int
    seconds: int
    branches: int
    inputs: int
    defect: str


def fuzz(name: str, words: list[str]) -> None:
    """Fuzz a target in this process, which ends with it."""
    import atheris

    sys.path.insert(0, str(TESTS))
    with atheris.instrument_imports(include=["atlasdb"]):
        import atlasdb

        for module in pkgutil.walk_packages(atlasdb.__path__, "atlasdb."):
            if not module.name.endswith("__main__"):
                __import__(module.name)
        from fuzz_targets import TARGETS
    parse = TARGETS[name]

    def once(content: bytes) -> None:
        parse(content)

    atheris.Setup([sys.argv[0], *words], once)
    atheris.Fuzz()


def run(name: str, seconds: int, seed: int, keep: Path) -> Result:
    """Fuzz a target in a process of its own."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
    with tempfile.TemporaryDirectory(prefix="atlasdb-fuzz-", dir=memory) as folder:
        found = Path(folder) / "corpus"
        found.mkdir()
        words = [
            *(str(found), str(CORPUS / name)),
            *(f"-max_total_time={seconds}", f"-seed={seed}", f"-max_len={LONGEST}"),
            *("-timeout=10", "-rss_limit_mb=2048", f"-artifact_prefix={keep}/{name}."),
        ]
        log = Path(folder) / "log"
        with log.open("wb") as file:
            status = subprocess.run(
                [sys.executable, __file__, "--child", name, *words],
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, "TMPDIR": folder},
                check=False,
            ).returncode
        said = log.read_text(errors="replace")
    states = [tuple(map(int, state)) for state in STATE.findall(said)] or [(0, 0, 0, 0)]
    done = DONE.search(said)
    runs, _, _, inputs = states[-1]
    return Result(
        name,
        runs=int(done[1]) if done else runs,
        seconds=int(done[2]) if done else seconds,
        branches=max(state[1] for state in states),
        inputs=inputs,
        defect="" if status == 0 else defect(said, keep, name),
    )


def defect(said: str, keep: Path, name: str) -> str:
    """Keep the log of a target that did not survive, and return its last words."""
    (keep / f"{name}.log").write_text(said)
    told = LAST_WORDS.findall(said)
    return " ".join((told or ["ended without a word"])[-1].split())[:100].replace("|", "¦")


def main() -> int:
    """Run all targets, and print what ran."""
    if "--child" in sys.argv[1:2]:
        fuzz(sys.argv[2], sys.argv[3:])
    sys.path.insert(0, str(TESTS))
    from fuzz_targets import TARGETS

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=60, help="of each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", choices=TARGETS, help="may be repeated")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-finds"), help="for what is found")
    given = parser.parse_args()
    given.keep.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(
            pool.map(
                lambda name: run(name, given.seconds, given.seed, given.keep.absolute()),
                given.only or TARGETS,
            )
        )
    print(f"{machine()}; {given.seconds} s for each target, seed {given.seed}.\n")
    print("| parser | executions | per second | branches | inputs | defect |")
    print("|---|---:|---:|---:|---:|---|")
    for found in results:
        print(
            f"| {found.name} | {found.runs:,} | {found.runs / max(found.seconds, 1):,.0f} "
            f"| {found.branches:,} | {found.inputs:,} | {found.defect or 'none'} |"
        )
    total, defects = sum(found.runs for found in results), sum(bool(f.defect) for f in results)
    print(f"| **{len(results)} parsers** | **{total:,}** | | | | **{defects}** |")
    return 1 if defects else 0


if __name__ == "__main__":
    sys.exit(main())
