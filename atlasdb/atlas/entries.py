"""An atlas's structures as a mapping: by acronym, by id, by whatever integer numpy has for one.

The one idea: the entries are BrainGlobe's, dictionaries whose mesh is read when it is asked for;
what is found, and what a wrong name is answered with, is decided in one place.
"""

from __future__ import annotations

from collections import UserDict
from functools import cached_property
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np

from atlasdb.errors import AmbiguousAcronymError, UnknownStructureError, listing
from atlasdb.structures import NO_LABEL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import meshio
    import treelib

    from atlasdb.atlas.opening import AtlasRecord
    from atlasdb.structures import StructureTable

AnyStructure = str | SupportsIndex | float | np.floating[Any]
"""A structure: its acronym, its id as any integer, or a text of its id's digits."""

_MOST_NAMES = 3


class Structure(UserDict[str, Any]):
    """One structure of an atlas, a dictionary as BrainGlobe's.

    Keys are ``acronym`` (str), ``id`` (int), ``name`` (str), ``structure_id_path`` (list of int,
    from the root to the structure itself), ``rgb_triplet`` (list of three ints, 0 to 255),
    ``mesh_filename`` (Path of the OBJ file; None for a structure without a mesh) and ``mesh`` (a
    meshio.Mesh: (V, 3) float64 points in microns in the array's axis order, triangles; read when it
    is first asked for, and kept). BrainGlobe 3's further keys are answered but not listed:
    ``parent_structure_id`` (int, None for the root) and ``annotation_value`` (int, the value that
    stands for the structure in the annotation, None if none does).

    Parameters
    ----------
    entry
        All keys but ``mesh``.
    annotation_value
        The value that stands for the structure in the annotation, None if none does.
    read_mesh
        Reads the mesh of a structure by its id.
    """

    def __init__(
        self,
        entry: Mapping[str, Any],
        annotation_value: int | None,
        read_mesh: Callable[[int], meshio.Mesh],
    ) -> None:
        super().__init__(entry)
        self.data["mesh"] = None
        self._annotation_value = annotation_value
        self._read_mesh = read_mesh

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401 (each key has a type of its own)
        if key == "mesh" and self.data["mesh"] is None:
            self.data["mesh"] = self._read_mesh(self.data["id"])
        if key == "annotation_value":
            return self._annotation_value
        if key == "parent_structure_id":
            return ([None, *self.data["structure_id_path"]])[-2]
        return self.data[key]


class StructuresDict(UserDict[Any, Structure]):
    """The structures of an atlas, by acronym or by id; iterates over ids in depth-first order.

    ``structures["VISp"]``, ``structures[385]``, ``structures[np.uint32(385)]``,
    ``structures[385.0]`` and ``structures["385"]`` are the same. A text is an acronym first, and
    digits are an id only if no structure has that acronym. ``in`` takes all of these. ``data`` is
    the plain dictionary by id, ``tree`` the hierarchy, and the printed form a drawing of it, as in
    BrainGlobe.

    Parameters
    ----------
    record
        The atlas.
    read_mesh
        Reads the mesh of a structure by its id.
    """

    def __init__(self, record: AtlasRecord, read_mesh: Callable[[int], meshio.Mesh]) -> None:
        self._table: StructureTable = record.data.table.structures
        self._atlas = str(record.data.name)
        # Not through UserDict, which would look each key up.
        self.data = {
            entry["id"]: Structure(entry, None if value == NO_LABEL else value, read_mesh)
            for entry, value in zip(
                entries_of(record), self._table.label_values.tolist(), strict=True
            )
        }

    def __getitem__(self, item: AnyStructure) -> Structure:
        return self.data[self.id_of(item)]

    def __contains__(self, item: object) -> bool:
        try:
            self.id_of(item)  # type: ignore[arg-type]
        except AmbiguousAcronymError:
            return True
        except (UnknownStructureError, TypeError):
            return False
        return True

    def __setitem__(self, item: AnyStructure, value: Structure) -> None:
        raise TypeError(f"the structures of {self._atlas} are the atlas's: none can be set")

    def __delitem__(self, item: AnyStructure) -> None:
        raise TypeError(f"the structures of {self._atlas} are the atlas's: none can be deleted")

    def __or__(self, other: Any) -> Any:  # noqa: ANN401 (as dict's)
        return self.data | other

    def __ror__(self, other: Any) -> Any:  # noqa: ANN401 (as dict's)
        return other | self.data

    def __ior__(self, other: Any) -> Any:  # noqa: ANN401 (always raises)
        raise TypeError(f"the structures of {self._atlas} are the atlas's: none can be set")

    def __repr__(self) -> str:
        return str(self.tree.show(stdout=False))

    def get(self, item: AnyStructure, default: Any = None) -> Any:  # noqa: ANN401 (as dict's)
        """Return a structure, or a default if there is none; an ambiguous acronym is an error."""
        try:
            return self[item]
        except UnknownStructureError:
            return default

    def copy(self) -> dict[int, Structure]:  # type: ignore[override]
        """Return a plain dictionary of the entries by id."""
        return dict(self.data)

    @cached_property
    def acronym_to_id_map(self) -> dict[str, int]:
        """The id of each acronym; of one that several structures bear, the last one's."""
        ids = self._table.hierarchy.ids.tolist()
        return dict(zip(self._table.acronyms, ids, strict=True))

    @cached_property
    def _unique_acronyms(self) -> dict[str, int]:
        ranks = self._table.ranks_by_acronym
        return {a: self._table.ids_of(r)[0] for a, r in ranks.items() if len(r) == 1}

    @cached_property
    def tree(self) -> treelib.Tree:
        """The hierarchy as a treelib.Tree, made when it is first asked for.

        Nodes are identified by structure ids and tagged ``ACRONYM (id)``, as BrainGlobe's.
        """
        import treelib  # only for who asks for it

        tree = treelib.Tree()
        table = self._table
        parents = parent_ids(table)
        for structure_id, acronym, parent in zip(
            table.hierarchy.ids.tolist(), table.acronyms, parents, strict=True
        ):
            tree.create_node(f"{acronym} ({structure_id})", structure_id, parent)
        return tree

    def id_of(self, item: AnyStructure) -> int:
        """Return the id of a structure.

        Parameters
        ----------
        item
            An acronym, exactly as the atlas writes it; an id as any integer, or as a float that is
            one; a text of an id's digits, if it is no acronym.

        Raises
        ------
        UnknownStructureError
            There is none, a KeyError; near acronyms are suggested.
        AmbiguousAcronymError
            Several structures have this acronym; their ids are listed.
        TypeError
            It is neither a text nor a number.
        """
        if type(item) is int and item in self.data:  # what is asked a hundred thousand times
            return item
        if isinstance(item, str):
            found = self._unique_acronyms.get(item)
            return self._id_of_text(item) if found is None else found
        if isinstance(item, bool | np.bool_) or not isinstance(
            item, SupportsIndex | float | np.floating
        ):
            raise TypeError(f"a structure is an acronym or an integer id, not {item!r}")
        number = _whole(item)
        if number is None or number not in self.data:
            raise UnknownStructureError(f"no structure {item} in {self._atlas}")
        return number

    def _id_of_text(self, text: str) -> int:
        """Return the id of a structure that is named by a text."""
        if text not in self._table.ranks_by_acronym and text.isascii() and text.isdigit():
            number = int(text) if len(text) < len(str(2**63)) else -1
            if number in self.data:
                return number
        try:
            rank = self._table.rank_of(text)
        except UnknownStructureError as error:
            message = str(error).replace("this atlas", self._atlas)
            raise UnknownStructureError(message + self._named_like(text)) from error
        return self._table.ids_of([rank])[0]

    def _named_like(self, text: str) -> str:
        """Return the end of a message: the structures whose full name holds a text."""
        folded = text.casefold().strip()
        found = [
            f"{acronym} ({name})"
            for acronym, name in zip(self._table.acronyms, self._table.names, strict=True)
            if folded and folded in name.casefold()
        ]
        return f"; named so: {listing(found, limit=_MOST_NAMES)}" if found else ""


def entries_of(record: AtlasRecord) -> list[dict[str, Any]]:
    """Return BrainGlobe's entry for each structure, in depth-first order; new ones at each call."""
    table = record.data.table.structures
    paths: list[list[int]] = []
    entries: list[dict[str, Any]] = []
    for structure_id, acronym, name, parent, colour in zip(
        table.hierarchy.ids.tolist(),
        table.acronyms,
        table.names,
        table.hierarchy.parent_rank.tolist(),
        table.rgb.tolist(),
        strict=True,
    ):
        paths.append([*(paths[parent - 1] if parent else ()), structure_id])
        mesh = record.meshes.get(structure_id)
        entries.append(
            {
                "acronym": acronym,
                "id": structure_id,
                "name": name,
                "structure_id_path": list(paths[-1]),
                "rgb_triplet": colour,
                "mesh_filename": None if mesh is None else mesh.path,
            }
        )
    return entries


def parent_ids(table: StructureTable) -> Iterable[int | None]:
    """Return the id of each structure's parent, None for the root."""
    ids = table.hierarchy.ids.tolist()
    return [ids[rank - 1] if rank else None for rank in table.hierarchy.parent_rank.tolist()]


def _whole(item: SupportsIndex | float | np.floating[Any]) -> int | None:
    """Return a number as an integer, None if it is none."""
    if isinstance(item, SupportsIndex):
        return item.__index__()
    return int(item) if float(item).is_integer() else None
