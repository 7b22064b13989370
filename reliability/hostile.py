"""What hostile files do: every attack of ``tests/attacks.py``, each in a process of its own.

Run it as ``python reliability/hostile.py``; it needs ``pip install -e '.[test]'`` and a minute. It
prints a table: what was tried, by how many bytes, what came of it, and the memory and the time that
it took. Memory is beyond that of the process before, with all libraries loaded; an ingest that
succeeds takes 110 MB of it (DuckDB's, above all) for an atlas of 84 voxels.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).parents[1]
LONGEST = 110


def outcomes(folder: Path) -> list[dict[str, object]]:
    """Try all attacks, and return what came of each."""
    home = folder / "home"
    paths = [str(PROJECT), str(PROJECT / "tests"), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "TMPDIR": str(folder),
    }
    environment.pop("ATLASDB_LIMITS", None)
    make = "import atlasdb, attacks, sys; atlasdb.connect(sys.argv[1]).ingest(attacks.ATLAS)"
    for command in (
        [sys.executable, "-c", make, str(home)],
        [sys.executable, str(PROJECT / "tests/attacks.py"), str(home), str(folder)],
    ):
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
    return [json.loads(line) for line in done.stdout.splitlines()]


def shortened(text: str) -> str:
    """Return the first words of an outcome, fit for a table."""
    text = " ".join(text.split()).replace("|", "¦")
    return text if len(text) <= LONGEST else text[:LONGEST].rpartition(" ")[0] + " …"


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        found = outcomes(Path(folder))
    print("| attack | bytes | outcome | MB | seconds |")
    print("|---|---:|---|---:|---:|")
    for said in found:
        print(
            f"| {said['name']} | {said['input_bytes']:,} | {shortened(str(said['text']))} "
            f"| {said['peak_mb']:.0f} | {said['seconds']:.1f} |"
        )


if __name__ == "__main__":
    main()
