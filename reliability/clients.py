"""Other versions of DuckDB read a home: tables, views, macros, points, cells.

Run it as ``python reliability/clients.py [VERSION …]``. It makes a small home, installs each
version of DuckDB from the package index into a temporary folder, asks it in a process of its own
that knows nothing of atlasdb, and compares what it answers with what this environment's DuckDB
answers. It prints a Markdown table.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import operations
from crashes import in_child
from machine import machine
from operations import NAME, PHANTOM

VERSIONS = ("1.0.0", "1.1.3", "1.2.2", "1.3.2", "1.4.4", "1.5.6", "2.0.0")

AT = f"'{PHANTOM}', 4950, 4150, 3150"
QUESTIONS = {
    "tables": "SELECT count(*), sum(voxels) FROM main.label",
    "views": f"SELECT acronym, volume_mm3, path_text FROM {PHANTOM}.region ORDER BY rank",
    "all atlases": "SELECT atlas, count(*) FROM all_atlases.region GROUP BY atlas ORDER BY atlas",
    "hierarchy macros": f"SELECT acronym FROM descendants('{PHANTOM}', 'grey') ORDER BY acronym",
    "coordinates": f"SELECT acronym_at({AT}), hemisphere_at({AT}), label_at({AT}), status_at({AT})",
    "tables of points": f"SELECT status, count(*) FROM label_points('points', '{NAME}@1.0') "
    "GROUP BY status ORDER BY status",
    "cells": "SELECT status, count(*), sum(structure_id) FROM cells.pilot GROUP BY 1 ORDER BY 1",
    "what there is": "SELECT count(*) > 0 FROM duckdb_functions() WHERE NOT internal",
}

ASK = """
import json, sys
sys.path.insert(0, sys.argv[1])
import duckdb
answers = {}
try:
    connection = duckdb.connect(sys.argv[2], read_only=True)
    connection.execute("CREATE TEMP TABLE points AS SELECT ap_um, si_um, rl_um "
                       "FROM read_parquet('" + sys.argv[3] + "')")
except Exception as error:
    print(json.dumps({"": str(error).splitlines()[0]}))
    sys.exit()
for name, question in json.loads(sys.argv[4]).items():
    try:
        answers[name] = repr(connection.execute(question).fetchall())
    except Exception as error:
        answers[name] = "error: " + str(error).splitlines()[0]
print(json.dumps(answers))
"""


def asked(library: Path, folder: Path) -> dict[str, str]:
    """Ask a home with the DuckDB in a folder."""
    words = [str(library), str(folder / "home" / "atlas.duckdb")]
    words += [str(folder / "inputs" / "cells.parquet"), json.dumps(QUESTIONS)]
    done = subprocess.run(
        [sys.executable, "-I", "-c", ASK, *words], capture_output=True, text=True, check=False
    )
    if done.returncode:
        return {"": (done.stderr.strip().splitlines() or ["it crashed"])[-1]}
    answers: dict[str, str] = json.loads(done.stdout)
    return answers


def main() -> int:
    """Install, ask, compare and print."""
    versions = sys.argv[1:] or VERSIONS
    print("| DuckDB | " + " | ".join(QUESTIONS) + " |")
    print("|---|" + "---|" * len(QUESTIONS))
    failures = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        in_child(lambda: operations.write_inputs(folder / "inputs"))
        in_child(lambda: operations.write_home(folder / "home", folder / "inputs"))
        right = asked(folder / "nothing", folder)
        for version in versions:
            library = folder / version
            install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
            words = [*install, "--target", str(library), f"duckdb=={version}"]
            if subprocess.run(words, capture_output=True, check=False).returncode:
                print(f"| {version} | cannot be installed here |")
                continue
            found = asked(library, folder)
            if "" in found:
                failures.append(f"{version}: {found['']}")
                print(f"| {version} |" + " ✗ |" * len(QUESTIONS), flush=True)
                continue
            same = {name: found[name] == right[name] for name in QUESTIONS}
            failures += [f"{version}, {name}: {found[name]}" for name in same if not same[name]]
            print(
                f"| {version} |" + "".join(f" {'✓✗'[not ok]} |" for ok in same.values()), flush=True
            )
    print(f"\n✓ is the very answer of the DuckDB that wrote the home. {machine()}")
    for failure in failures:
        print(f"* {failure:.300}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
