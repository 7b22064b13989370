"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version


def machine() -> str:
    """Return a line that names the machine and what atlasdb rests on."""
    return (
        f"{os.cpu_count()} processors, {platform.system()}, Python {platform.python_version()}, "
        f"DuckDB {version('duckdb')}"
    )
