"""Files that appear whole or not at all.

The one idea: write beside the destination, make it durable, then rename.
"""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def replacing(target: Path) -> Iterator[BinaryIO]:
    """Give a file to write and to read, which takes a path's place when the block ends well.

    Parameters
    ----------
    target
        A regular file, or none yet, in a folder that exists; links are resolved by the caller. A
        file that is replaced keeps its permissions.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder) / "a.txt") as file:
    ...         _ = file.write(b"whole")
    ...     [path.name for path in Path(folder).iterdir()]
    ['a.txt']
    """
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        with part.open("x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            part.chmod(target.stat().st_mode)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def writing(target: Path) -> Iterator[BinaryIO]:
    """Give a file to write: one that appears whole, as `replacing`, or a device or pipe itself.

    Parameters
    ----------
    target
        In a folder that exists; links are resolved by the caller.
    """
    is_device = target.exists() and not target.is_file()  # or a pipe, which is written into
    with target.open("wb") if is_device else replacing(target) as file:
        yield file
