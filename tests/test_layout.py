"""The project's own rules: layers, the public list, examples that run, nothing of a machine."""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
import re
import subprocess
from pathlib import Path

import pytest

import atlasdb
from atlasdb import errors

PROJECT = Path(__file__).parents[1]
PACKAGE = PROJECT / "atlasdb"

LAYERS = (
    ("errors",),
    ("encodings", "filelock", "findings", "hierarchy", "limits", "names", "space", "wholefile"),
    ("citations", "structures"),
    ("runs",),
    ("volumes", "meshes.plain", "meshes.surfaces"),
    ("meshes.draco", "meshes.obj"),
    ("meshes.blobs", "meshes.files"),
    ("meshes",),
    ("voxels.borders", "voxels.grid", "voxels.ranks"),
    ("export", "voxels.points"),
    ("voxels.data", "voxels.distances", "voxels.neighbourhoods", "voxels.tracks"),
    ("voxels.lookups", "voxels.masks", "voxels.orientations"),
    ("voxels.images", "voxels.surroundings"),
    ("sources.base",),
    ("download.connections", "progress", "sources.digests", "sources.multiscale", "sources.stated"),
    ("download.resumable",),
    ("download",),
    ("sources.buckets", "sources.package"),
    ("sources.archive", "sources.objects", "sources.phantom"),
    ("sources.components", "sources.downloaded"),
    ("sources.places",),
    ("sources",),
    ("sources.listings",),
    ("home", "models", "queries"),
    ("statements", "views"),
    ("database",),
    ("confined", "migrate", "rows", "session", "structure_queries", "voxels.opening"),
    ("voxels.statistics",),
    ("voxels",),
    ("atlas.opening", "atlas.panel"),
    ("atlas.arrays", "atlas.coordinates", "atlas.entries"),
    ("atlas.relatives", "atlas.surfaces"),
    ("atlas",),
    ("cells",),
    ("cells.columns", "cells.flow", "cells.groups", "cells.pieces"),
    ("cells.arrays", "cells.cellfinder", "cells.columnar", "cells.hdf", "cells.positions"),
    ("cells.text", "cells.writing"),
    ("cells.reading",),
    ("cells.annotating", "cells.frames"),
    ("cells.counting",),
    ("cells.partial", "cells.registered", "cells.tables"),
    ("cells.joining",),
    ("cells.distributed", "cells.registering"),
    ("plots.outlines", "plots.sections", "plots.style", "plots.tables"),
    ("plots.finding", "plots.looks", "plots.naming", "plots.picture", "plots.regions"),
    ("plots.layout", "plots.page", "plots.scales", "plots.values", "plots.views"),
    ("plots.cutting", "plots.drawing", "plots.legend", "plots.painting", "plots.reading"),
    ("plots.charts", "plots.partition", "plots.sheets"),
    ("plots.slices",),
    ("plots.bars", "plots.cards", "plots.heatmaps", "plots.slabs", "plots.trees"),
    ("plots.points",),
    ("plots",),
    ("catalogue", "cell_queries", "prepare"),
    ("ingest",),
    ("mesh_fetching", "updating", "verify"),
    ("api", "brainglobe"),
    ("cli.completion", "cli.glance", "cli.lazy", "cli.rows", "cli.telling"),
    ("cli.options",),
    ("cli.output", "cli.points"),
    ("cli.counts", "cli.pictures"),
    ("cli.*",),
    ("cli",),
    ("__main__",),
)
"""From the bottom up: a module imports from the layers above it in this list only."""

LATE = {
    ("atlas", "plots.cards"),
    ("atlas.surfaces", "mesh_fetching"),
    ("database", "migrate"),
    ("cells.joining", "cells.distributed"),
    ("session", "cells.registering"),
    ("cli.completion_command", "cli"),
    ("cli.demo_command", "cli"),
    ("cli", "cli.*"),
}
"""Imports inside a function that go the other way, each with its reason where it stands."""

SHOWING = {"atlas", "atlas.panel", "brainglobe", "progress"}
"""Modules that print or draw beside the command line: what BrainGlobe's users expect to see."""

MODULES = sorted(
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
)


def layer_of(module: str) -> int:
    for number, layer in enumerate(LAYERS):
        if module in layer:
            return number
    if module.startswith("cli."):
        return next(n for n, layer in enumerate(LAYERS) if "cli.*" in layer)
    raise AssertionError(f"{module} is in no layer")


def imports_of(module: str) -> set[str]:
    """Return the project's modules that a module imports, types and all."""
    path = PACKAGE.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("atlasdb"):
            name = (node.module or "").removeprefix("atlasdb").removeprefix(".")
            below = {f"{name}.{alias.name}".removeprefix(".") for alias in node.names}
            modules = below & set(MODULES)
            found |= modules or {name}
    return found - {""}


@pytest.mark.parametrize("module", [m for m in MODULES if m != "__init__"])
def test_imports_run_down_the_layers(module: str) -> None:
    for other in imports_of(module):
        if (module, other) in LATE:
            continue
        assert layer_of(other) < layer_of(module), f"{module} imports {other}"


def test_only_the_download_module_opens_sockets_and_only_the_cli_prints() -> None:
    for module in MODULES:
        path = PACKAGE.joinpath(*module.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        source = path.read_text("utf-8")
        if not module.startswith("download"):
            assert not re.search(r"import (requests|socket|urllib3|http)\b|urllib\.request", source)
        if not module.startswith("cli"):
            assert not re.search(r"import click|from click", source)
        if module not in SHOWING and not module.startswith("cli"):
            assert not re.search(r"(import|from) rich|^\s*print\(", source, re.MULTILINE)


def test_the_public_names() -> None:
    assert sorted(atlasdb.__all__) == sorted(
        [
            "Atlas",
            "BrainGlobeAtlas",
            "Database",
            "connect",
            "show_atlases",
            *(
                name
                for name, value in vars(errors).items()
                if isinstance(value, type) and issubclass(value, errors.AtlasDBError)
            ),
        ]
    )
    for name in atlasdb.__all__:
        assert getattr(atlasdb, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        _ = atlasdb.nope


def test_the_tree_of_exceptions_is_the_one_drawn() -> None:
    drawn = re.findall(r"(\w+Error)(?: \((\w+)\))?", errors.__doc__ or "")
    names = {name for name, _ in drawn}
    assert names == {n for n in atlasdb.__all__ if n.endswith("Error")}
    for name, builtin in drawn:
        if builtin:
            assert issubclass(getattr(errors, name), getattr(__import__("builtins"), builtin))
    assert str(atlasdb.UnknownAtlasError("no atlas x")) == "no atlas x"


@pytest.mark.parametrize(
    "module",
    [m.name for m in pkgutil.walk_packages([str(PACKAGE)], "atlasdb.")],
)
def test_the_examples_in_docstrings_run(module: str) -> None:
    result = doctest.testmod(importlib.import_module(module))
    assert result.failed == 0


def tracked() -> list[Path]:
    """Return the files that git tracks, or all there are."""
    done = subprocess.run(
        ["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    names = done.stdout.splitlines()
    return [PROJECT / name for name in names] if names else list(PACKAGE.rglob("*.py"))


def test_nothing_real_is_committed() -> None:
    for path in tracked():
        assert path.suffix not in {".tiff", ".obj", ".gz", ".duckdb", ".parquet"}, path
        assert path.stat().st_size < 300_000, path


def test_every_source_file_explains_itself() -> None:
    for path in [*PACKAGE.rglob("*.py"), *(PROJECT / "tests").rglob("*.py")]:
        assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), path


def test_the_readme_shows_every_command() -> None:
    from atlasdb.cli import COMMANDS

    readme = (PROJECT / "README.md").read_text("utf-8")
    for command in COMMANDS:
        assert f"atlasdb {command}" in readme


def test_the_design_lists_every_finding_and_layer() -> None:
    from atlasdb.findings import CODES

    design = (PROJECT / "DESIGN.md").read_text("utf-8")
    for code in CODES:
        assert f"`{code}`" in design
    for layer in LAYERS:
        for module in layer:
            assert f"`{module}`" in design, module
