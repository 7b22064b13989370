"""Mesh files as the database remembers them.

The one idea: a file that is not the one that was ingested is never taken for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from atlasdb.errors import BlobError, PackageError
from atlasdb.meshes.obj import MeshCounts, count_mesh, read_mesh
from atlasdb.volumes import sha256_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from atlasdb.meshes.surfaces import Mesh

Read = TypeVar("Read")


@dataclass(frozen=True)
class MeshFile:
    """A structure's mesh.

    Attributes
    ----------
    path
        An OBJ file.
    bytes, vertices, triangles
        Its size when it was ingested.
    sha256
        Its digest then, in hexadecimal; None where an atlasdb that kept none ingested it.
    """

    path: Path
    bytes: int
    vertices: int
    triangles: int
    sha256: str | None

    @classmethod
    def of(cls, path: Path, counts: MeshCounts) -> MeshFile:
        """Describe a file in which so much was counted."""
        return cls(path, path.stat().st_size, *counts, sha256_of(path))

    def check_size(self) -> None:
        """Verify that the file is there and as large as it was.

        Raises
        ------
        BlobError
            It is missing or truncated.
        """
        if not self.path.is_file():
            raise BlobError(f"the mesh is missing: {self.path}")
        size = self.path.stat().st_size
        if size != self.bytes:
            raise BlobError(f"the mesh {self.path} has {size:,} bytes instead of {self.bytes:,}")

    def check(self) -> None:
        """Verify that the file is the one that was ingested.

        Raises
        ------
        BlobError
            It is missing, truncated or altered, or cannot be read.
        """
        self.check_size()
        if self.sha256 is None:
            self._check_counts()
        elif self._readable(sha256_of) != self.sha256:
            raise BlobError(f"the mesh {self.path} was altered: its SHA-256 differs")

    def read(self) -> Mesh:
        """Read the mesh, after verifying the file.

        Raises
        ------
        BlobError
            As `check`.
        """
        self.check()
        return self._readable(read_mesh)

    def _readable(self, read: Callable[[Path], Read]) -> Read:
        """Return what is read of the file."""
        try:
            return read(self.path)
        except BlobError:
            raise
        except PackageError as error:
            raise BlobError(f"the mesh {self.path} is not as it was ingested: {error}") from error
        except OSError as error:
            reason = error.strerror or error
            raise BlobError(f"the mesh {self.path} cannot be read: {reason}") from error

    def _check_counts(self) -> None:
        """Verify what is known of a file without a digest."""
        found = self._readable(count_mesh)
        if found != (self.vertices, self.triangles):
            raise BlobError(
                f"the mesh {self.path} was altered: it has {found.vertices:,} vertices and "
                f"{found.triangles:,} triangles instead of {self.vertices:,} and "
                f"{self.triangles:,}"
            )
