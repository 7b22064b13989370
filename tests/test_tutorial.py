"""The tutorial is run, as Jupyter runs it, and gives what it shows.

``ATLASDB_WRITE_SNAPSHOT=1`` keeps the outputs of this run in the notebook.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[1] / "docs" / "tutorial.ipynb"
HOME = "~/.local/share/atlasdb"


def read() -> Any:
    import nbformat

    return nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]


def texts(cell: Any, home: str) -> list[str]:
    """What a cell shows, pictures by their kind alone; no path of this machine."""
    shown = []
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if "image/png" in data:
            shown.append("a picture")
        elif "text/plain" in data:
            shown.append(data["text/plain"])
        else:
            shown.append(output.get("text", output.get("evalue", "")))
    return [text.replace(home, HOME) for text in shown]


@pytest.mark.real
def test_the_tutorial_shows_what_it_gives(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nbclient
    import nbformat

    home = str(tmp_path / "home")
    for name, value in {
        "ATLASDB_HOME": home,
        "ATLASDB_SOURCE": str(packages),
        "JUPYTER_CONFIG_DIR": str(tmp_path / "jupyter"),
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "MPLCONFIGDIR": str(tmp_path / "matplotlib"),
        "COLUMNS": "80",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }.items():
        monkeypatch.setenv(name, value)
    notebook, kept = read(), read()
    nbclient.NotebookClient(
        notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    if os.environ.get("ATLASDB_WRITE_SNAPSHOT"):
        for cell in notebook.cells:
            cell.metadata = {}
        text = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
        NOTEBOOK.write_text(text.replace(home, HOME) + "\n", "utf-8")
        kept = read()
    for cell, shown in zip(notebook.cells, kept.cells, strict=True):
        assert texts(cell, home) == texts(shown, home), cell.source


def test_the_tutorial_walks_through_the_tour() -> None:
    """What BrainGlobe's own shows, and that nothing in it fails or names a machine."""
    notebook = read()
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    for member in (
        "BrainGlobeAtlas(", "show_atlases(", ".metadata", ".reference", ".annotation", ".hemispheres",
        ".space", ".structures", ".lookup_df", ".hierarchy", "get_structure_ancestors(",
        "get_structure_descendants(", "get_structure_mask(997)", "meshfile_from_structure(",
        "mesh_from_structure(", "voxel = (50, 40, 30)", "structure_from_coords(voxel",
        "point = (5000, 4000, 3000)", "structure_from_coords(point, microns=True", "hierarchy_lev=2",
        "hemisphere_from_coords(voxel", "hemisphere_from_coords(point, microns=True",
    ):  # fmt: skip
        assert member in code
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert len(outputs) > 25
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert not re.search(r"/(work|root|home|tmp|opt)/", NOTEBOOK.read_text("utf-8"))
    shown = [text for cell in notebook.cells for text in texts(cell, HOME)]
    for answer in ("'CP'", "'CH'", "'right'", "(np.uint32(672), 'CP')"):
        assert answer in shown
