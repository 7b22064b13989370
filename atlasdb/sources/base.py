"""What every source of an atlas gives to the ingest: checked metadata, structures and files.

The one idea: nothing after this module knows a format. A source opens an atlas as a `SourceAtlas`;
the ingest asks it for volumes by kind and for meshes by structure.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from atlasdb.errors import SourceError
from atlasdb.names import AtlasName

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from atlasdb.findings import Finding
    from atlasdb.names import Version
    from atlasdb.structures import StructureTable


class Progress(Protocol):
    """Where work reports how far it is; the command line draws it, others may ignore it."""

    def step(self, label: str, total: int | None = None, measure: str = "bytes") -> None:
        """Begin a step of `total` bytes or rows, None where that is unknown."""

    def advance(self, amount: int) -> None:
        """Report `amount` more units of the step."""

    def note(self, text: str) -> None:
        """Say something that the user should know although it is no error."""


class NoProgress:
    """A `Progress` that shows nothing."""

    def step(self, label: str, total: int | None = None, measure: str = "bytes") -> None:
        """Show nothing."""

    def advance(self, amount: int) -> None:
        """Show nothing."""

    def note(self, text: str) -> None:
        """Show nothing."""


@dataclass(frozen=True)
class Selection:
    """Which parts of an atlas are wanted beside its annotation and its structures.

    Attributes
    ----------
    meshes
        The meshes.
    references
        The reference and the additional references.
    """

    meshes: bool = True
    references: bool = True

    @property
    def left_out(self) -> tuple[str, ...]:
        """What is not wanted, by name."""
        parts = (("meshes", self.meshes), ("references", self.references))
        return tuple(name for name, wanted in parts if not wanted)

    @classmethod
    def without(cls, left_out: Iterable[str]) -> Selection:
        """Return the selection that leaves out what is named."""
        names = set(left_out)
        return cls(meshes="meshes" not in names, references="references" not in names)


EVERYTHING = Selection()


@dataclass(frozen=True)
class Metadata:
    """What an atlas says of itself, checked.

    Attributes
    ----------
    name
        With the resolution: ``allen_mouse_100um``.
    version
        The atlas's version.
    species, citation, atlas_link
        Texts.
    orientation
        Three letters: where the source's axes start.
    symmetric
        Whether the atlas declares its hemispheres to be mirror images.
    resolution_um
        Edge of a voxel along the source's three axes, microns.
    shape
        The shape of the source's volumes.
    additional_references
        Names of further reference volumes.
    raw
        Everything the source says, as it says it.
    """

    name: str
    version: Version
    species: str
    citation: str
    atlas_link: str
    orientation: str
    symmetric: bool
    resolution_um: tuple[float, float, float]
    shape: tuple[int, int, int]
    additional_references: tuple[str, ...]
    raw: Mapping[str, Any]

    def require(self, expected: AtlasName | None) -> AtlasName:
        """Return the atlas's full name, and refuse one that is not what was asked for.

        Raises
        ------
        SourceError
            It is another one.
        """
        found = AtlasName(self.name, self.version)
        if expected is not None and found != expected:
            raise SourceError(f"asked for {expected}, but the package says that it is {found}")
        return found


@dataclass(frozen=True)
class Provenance:
    """Where an atlas came from.

    Attributes
    ----------
    url
        The archive, folder or server, as a URL.
    format
        'brainglobe-tiff' or 'brainglobe-ome-zarr'.
    sha256
        The archive's digest; None for a folder and for components.
    """

    url: str
    format: str
    sha256: str | None = None


@dataclass(frozen=True)
class SourceAtlas(ABC):
    """An atlas as a source holds it.

    Attributes
    ----------
    metadata, structures, provenance
        See their classes.
    meshes
        OBJ files by structure id, microns, in the axis order of the source's volumes.
    owns_files
        Whether the files are a private copy that the ingest may move into the home.
    findings
        What the source itself noticed.
    """

    metadata: Metadata
    structures: StructureTable
    provenance: Provenance
    meshes: Mapping[int, Path]
    owns_files: bool = False
    findings: tuple[Finding, ...] = field(default=())

    @abstractmethod
    def volume(self, kind: str) -> NDArray[Any] | None:
        """Return a volume in the source's orientation, None where there is none.

        Parameters
        ----------
        kind
            'annotation', 'reference', 'hemispheres', or an additional reference's name.
        """


@dataclass(frozen=True)
class Fetched:
    """Meshes that were fetched by themselves.

    Attributes
    ----------
    files
        OBJ files by structure id, microns, in the axis order of the source's volumes.
    findings
        Those that could not be read.
    owns_files
        Whether the files may be moved.
    metadata
        What the source says of the atlas now; None if it cannot have changed.
    """

    files: Mapping[int, Path]
    findings: tuple[Finding, ...] = ()
    owns_files: bool = True
    metadata: Metadata | None = None


@runtime_checkable
class GivesMeshes(Protocol):
    """An origin from which single meshes can be fetched."""

    def meshes(self, structure_ids: Iterable[int], staging: Path, progress: Progress) -> Fetched:
        """Fetch the meshes of some structures, those that there are; files go into `staging`."""


class Origin(Protocol):
    """A place from which one atlas can be opened."""

    @property
    def description(self) -> str:
        """What is opened, for people."""

    @property
    def expected(self) -> AtlasName | None:
        """The name and version that it must turn out to have, where that is known before."""

    def open(
        self, staging: Path, progress: Progress, selection: Selection = EVERYTHING
    ) -> SourceAtlas:
        """Open the atlas; files that must be kept meanwhile go into the folder `staging`."""

    def clean_up(self) -> None:
        """Remove what was kept only in case that the ingest is interrupted."""
