"""The versions that the oldest run has are the ones that pyproject.toml allows."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
EXTRAS = ("distributed", "hdf", "images", "plots")
NOT_OURS = {"pyparsing"}


def test_the_oldest_versions_are_the_bounds() -> None:
    """Each requirement has a lower bound, and each constraint is one."""
    if not (PROJECT / "pyproject.toml").is_file():
        pytest.skip("not a checkout: there is no pyproject.toml beside the tests")
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    stated = [*project["dependencies"], *(word for name in EXTRAS for word in extras[name])]
    bounds = [re.fullmatch(r"([\w-]+)>=([\d.]+)(?:,<[\d.]+)?", word) for word in stated]
    assert None not in bounds, stated
    oldest = (PROJECT / "tests" / "oldest.txt").read_text("utf-8").splitlines()
    pinned = dict(line.split("==") for line in oldest if not line.startswith("#"))
    assert {k: v for k, v in pinned.items() if k not in NOT_OURS} == {
        match[1]: match[2] for match in bounds if match is not None
    }
