"""The Atlas object: one atlas in Python, by BrainGlobe's names.

The one idea: an `Atlas` is opened once and asks no database after that (but for the statistics of
its `voxels`). Its structures, arrays, meshes and coordinates are BrainGlobe's in name, type and
unit; where BrainGlobe 2.3.1 is wrong or fails, this is right, and
``docs/brainglobe-differences.md`` lists each such place.
"""

from __future__ import annotations

import copy
from functools import cached_property
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np

from atlasdb.atlas.arrays import AdditionalReferences, MappedLabels, MappedVolumes, additional_kinds
from atlasdb.atlas.coordinates import Coordinates
from atlasdb.atlas.entries import AnyStructure, Structure, StructuresDict, entries_of
from atlasdb.atlas.opening import open_record
from atlasdb.atlas.relatives import Relatives
from atlasdb.atlas.surfaces import Surfaces
from atlasdb.citations import cite
from atlasdb.errors import BlobError
from atlasdb.names import Version
from atlasdb.space import STANDARD
from atlasdb.voxels import AtlasVoxels

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import brainglobe_space
    import pandas as pd
    import treelib
    from numpy.typing import NDArray
    from rich.panel import Panel

    from atlasdb.atlas.opening import AtlasRecord
    from atlasdb.home import Home

__all__ = [
    "AdditionalReferences",
    "AnyStructure",
    "Atlas",
    "MappedLabels",
    "MappedVolumes",
    "Structure",
    "StructuresDict",
]


_NARROWEST = 60


class Atlas(Coordinates, Relatives, Surfaces):
    """One atlas of a database, by BrainGlobe's names; `atlasdb.Database.atlas` opens it.

    Parameters
    ----------
    record
        The atlas.

    Attributes
    ----------
    voxels : atlasdb.voxels.AtlasVoxels
        Lookups, masks and statistics for arrays, faster and with more to choose from.
    metadata : dict
        BrainGlobe's: ``name`` (without the resolution), ``citation``, ``atlas_link``, ``species``,
        ``symmetric``, ``resolution`` (list of floats, microns), ``orientation`` ('asr'),
        ``version``, ``shape`` (list of ints), ``additional_references`` (list of names), and
        whatever else the source says.

    Notes
    -----
    Arrays have the axes AP, SI, RL and begin at anterior, superior, right ('asr'). The object stays
    as it is if the atlas is replaced or removed; only the statistics of `voxels`, and the crops
    that rest on them, are refused then if they were not read before. Copies share the files;
    pickled, it is opened again where it arrives.

    Examples
    --------
    >>> import atlasdb, tempfile
    >>> db = atlasdb.connect(tempfile.mkdtemp())
    >>> _ = db.ingest("phantom_mouse_100um")
    >>> atlas = db.atlas("phantom_mouse_100um")
    >>> atlas
    phantom mouse atlas (res. 100um)
    >>> atlas.structures["CP"]["structure_id_path"]
    [997, 8, 567, 623, 477, 485, 672]
    """

    def __init__(self, record: AtlasRecord) -> None:
        self._record = record
        self.voxels = AtlasVoxels(record.data)
        self.metadata = dict(record.metadata)

    # What it is.

    @property
    def atlas_name(self) -> str:
        """The name with the resolution: ``allen_mouse_100um``."""
        return self._record.data.name.name

    @property
    def version(self) -> str:
        """The version: ``1.2``."""
        return str(self._record.data.name.version)

    @property
    def local_version(self) -> tuple[int, int]:
        """The version as two ints."""
        version = Version.parse(self.version)
        return version.major, version.minor

    @property
    def local_full_name(self) -> str:
        """The name and the version as BrainGlobe calls the folder: ``allen_mouse_100um_v1.2``."""
        return f"{self.atlas_name}_v{self.version}"

    @property
    def root_dir(self) -> Path:
        """The folder of the atlas's volumes: ``annotation.tiff``, ``reference.tiff``, ….

        Meshes are elsewhere; `meshfile_from_structure` says where.
        """
        return self._record.data.blob("annotation").path.parent

    @property
    def species(self) -> str:
        """The species."""
        return str(self.metadata["species"])

    @property
    def symmetric(self) -> bool:
        """Whether the atlas declares its hemispheres to be mirror images."""
        return bool(self.metadata["symmetric"])

    @property
    def atlas_link(self) -> str:
        """The address of whoever made the atlas."""
        return str(self.metadata["atlas_link"])

    @property
    def citation(self) -> str:
        """How to cite the atlas, as text."""
        return cite([self._record.credits])

    @property
    def bibtex(self) -> str:
        """How to cite the atlas, as BibTeX: it, the publications it names, and its packagers."""
        return cite([self._record.credits], "bibtex")

    @property
    def resolution(self) -> tuple[float, float, float]:
        """The edges of a voxel along AP, SI, RL, microns."""
        return self.voxels.grid.resolution_um

    @property
    def orientation(self) -> str:
        """Where the axes start: 'asr', whatever the source's orientation."""
        return STANDARD

    @property
    def shape(self) -> tuple[int, int, int]:
        """The number of voxels along AP, SI, RL."""
        return self.voxels.grid.shape

    @property
    def shape_um(self) -> tuple[float, float, float]:
        """The extent of the volume along AP, SI, RL, microns."""
        ap, si, rl = (n * edge for n, edge in zip(self.shape, self.resolution, strict=True))
        return ap, si, rl

    @cached_property
    def space(self) -> brainglobe_space.AnatomicalSpace:
        """The volume's space, a brainglobe_space.AnatomicalSpace: sections, axes, transforms."""
        from brainglobe_space import AnatomicalSpace  # with scipy, only for who asks for it

        return AnatomicalSpace(origin=STANDARD, shape=self.shape, resolution=self.resolution)

    # Arrays.

    @cached_property
    def reference(self) -> NDArray[Any]:
        """The grey-level volume, (AP, SI, RL), uint16 as a rule; read once, and the caller's own.

        `mapped` has the volumes without reading them whole.
        """
        return self._record.data.array("reference")

    @property
    def template(self) -> NDArray[Any]:
        """The same array as `reference`, by BrainGlobe's newer name."""
        return self.reference

    @cached_property
    def annotation(self) -> NDArray[Any]:
        """The label volume, (AP, SI, RL), uint32 as a rule: the source's own values, 0 outside.

        Read once, and the caller's own: lookups and masks do not change with it.
        """
        return self.voxels.annotation()

    @cached_property
    def hemispheres(self) -> NDArray[np.uint8]:
        """The hemisphere of every voxel, (AP, SI, RL) uint8: 1 left, 2 right, 0 neither.

        In a symmetric atlas indices below n // 2 of the last axis are right, the rest left.
        """
        return np.array(self.voxels.hemispheres)

    @cached_property
    def additional_references(self) -> AdditionalReferences:
        """The additional references by name, each read when it is first asked for."""
        return AdditionalReferences(self.voxels, self._additional)

    @cached_property
    def mapped(self) -> MappedVolumes:
        """The volumes by kind, memory-mapped and read-only; ``mapped["reference"][50]`` is a plane.

        Examples
        --------
        >>> import atlasdb, tempfile
        >>> db = atlasdb.connect(tempfile.mkdtemp())
        >>> _ = db.ingest("phantom_mouse_100um")
        >>> atlas = db.atlas("phantom_mouse_100um")
        >>> atlas.mapped["annotation"][49, 41, 31], list(atlas.mapped)
        (np.uint32(672), ['annotation', 'hemispheres', 'ranks', 'reference', 'nissl'])
        """
        blobs = self._record.data.blobs
        own = {"annotation", "hemispheres", "ranks", *({"reference"} & set(blobs))}
        return MappedVolumes(self.voxels, (*sorted(own), *self._additional))

    @property
    def _additional(self) -> tuple[str, ...]:
        said = self._record.metadata.get("additional_references", [])
        return additional_kinds(self._record.data.blobs, said)

    # Structures.

    @cached_property
    def structures(self) -> StructuresDict:  # type: ignore[override]
        """The structures by acronym or id, in depth-first order; see `StructuresDict`."""
        return StructuresDict(self._record, self._read_mesh)

    @property
    def structures_list(self) -> list[dict[str, Any]]:
        """The structures as plain dictionaries, without meshes, in depth-first order."""
        return entries_of(self._record)

    @property
    def hierarchy(self) -> treelib.Tree:
        """The hierarchy as a treelib.Tree; nodes are ids, tagged ``ACRONYM (id)``."""
        return self.structures.tree

    @cached_property
    def lookup_df(self) -> pd.DataFrame:
        """A pandas.DataFrame with the columns acronym, id and name, a row for each structure."""
        import pandas as pd  # takes 0.3 s, only for who asks for it

        table = self._record.data.table.structures
        return pd.DataFrame(
            {
                "acronym": list(table.acronyms),
                "id": table.hierarchy.ids.tolist(),
                "name": list(table.names),
            }
        )

    def get_structure_mask(
        self, structure: AnyStructure, *, with_ids: bool = False
    ) -> NDArray[Any]:
        """Return where a structure is, itself and its descendants.

        Parameters
        ----------
        structure
            An acronym or id.
        with_ids
            Give the structure's id where it is, as BrainGlobe 2 did, and not 1.

        Returns
        -------
        ndarray
            (AP, SI, RL): uint8, 1 in the structure and 0 elsewhere; with ids an unsigned type of 32
            bits, or more where the id needs it.
        """
        structure_id = self.structures.id_of(structure)
        if with_ids:
            return self.voxels.id_mask(structure_id)
        return self.voxels.mask(structure_id, dtype=np.uint8)

    # How it is shown and sent.

    def __repr__(self) -> str:
        *words, resolution = self.atlas_name.split("_")
        return f"{' '.join(words)} atlas (res. {resolution})"

    def __str__(self) -> str:
        from rich.console import Console

        text = StringIO()
        console = Console(file=text, force_jupyter=False, color_system=None)
        console.width = max(console.width, _NARROWEST)
        console.print(self)
        return text.getvalue()

    def __rich_console__(self, *_: object) -> Iterator[Panel]:
        from atlasdb.atlas.panel import metadata_panel

        yield metadata_panel(self.atlas_name.replace("_", " ").capitalize(), self._facts())

    def _repr_html_(self) -> str:
        """Show a notebook the facts and the middle frontal plane."""
        from atlasdb.plots.cards import atlas_html  # drawn for who looks at it

        return atlas_html(self._facts(), self.voxels)

    def __copy__(self) -> Atlas:
        copied = type(self).__new__(type(self))
        vars(copied).update(vars(self))
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> Atlas:
        copied = memo[id(self)] = type(self).__new__(type(self))
        for name, value in vars(self).items():
            shared = name in {"_record", "_sides"}  # files, which nobody changes
            vars(copied)[name] = value if shared else copy.deepcopy(value, memo)
        return copied

    def __reduce__(self) -> tuple[Any, ...]:
        identity = (self._record.home, str(self.voxels.name), self._paths)
        return self._reopen, identity, self._state()

    def _state(self) -> dict[str, Any]:
        """Return what another process is told beside which atlas it is."""
        return {"metadata": self.metadata}

    @property
    def _paths(self) -> tuple[str, ...]:
        """The volumes' files, which no other ingest has."""
        return tuple(sorted(str(blob.path) for blob in self._record.data.blobs.values()))

    @classmethod
    def _reopen(cls, home: Home, name: str, paths: tuple[str, ...]) -> Atlas:
        """Open the same atlas in another process, or refuse if it was replaced since."""
        atlas = cls.__new__(cls)
        Atlas.__init__(atlas, open_record(home, name))
        if atlas._paths != paths:  # noqa: SLF001 (its own)
            raise BlobError(
                f"{name} in {home.folder} was replaced since the object was pickled: open it anew"
            )
        return atlas

    def _facts(self) -> dict[str, object]:
        """Return what the panel shows."""
        resolution, shape = (
            " × ".join(f"{value:g}" for value in values) for values in (self.resolution, self.shape)
        )
        return {
            "name": f"{self.metadata['name']} (v{self.version})",
            "species": self.species,
            "citation": self.metadata["citation"],
            "link": self.atlas_link,
            "": None,
            "orientation": self.orientation,
            "symmetric": self.symmetric,
            "resolution": f"{resolution} µm",
            "shape": f"{shape} voxels",
            "structures": f"{len(self._record.data.table.structures):,}, "
            f"{len(self._record.meshes):,} with a mesh",
        }


def open_atlas(home: Home, atlas: str) -> Atlas:
    """Open an atlas of a home; see `atlasdb.Database.atlas`."""
    return Atlas(open_record(home, atlas))
