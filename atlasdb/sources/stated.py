"""What a source states of an atlas: metadata and structures, checked before a voxel is read.

The one idea: whatever file the statements stand in, they are checked alike, and an error says which
file and which entry is wrong, what was expected, and what was found.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from atlasdb.errors import HierarchyError, PackageError, listing
from atlasdb.hierarchy import Hierarchy
from atlasdb.limits import current
from atlasdb.names import Version, checked_name, full_name
from atlasdb.sources.base import Metadata
from atlasdb.space import Reorientation, is_orientation
from atlasdb.structures import NO_LABEL, StructureTable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_AXES = 3
_MOST_VOXELS = 1 << 40
_LONGEST_UM = 1e9


def parsed_json(content: bytes, name: str) -> Any:  # noqa: ANN401 (whatever the file holds)
    """Parse JSON, or say what is wrong with it.

    Parameters
    ----------
    content
        The file's bytes.
    name
        What an error calls it.

    Raises
    ------
    PackageError
        It is none.
    """
    refuse_large(len(content), name)
    try:
        parsed = json.loads(
            content.decode("utf-8-sig"), parse_constant=_no_number, object_pairs_hook=_each_once
        )
        json.dumps(
            parsed, ensure_ascii=False, allow_nan=False
        ).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError) as error:
        page = "is an HTML page, " if content.lstrip().startswith(b"<") else "is "
        raise PackageError(f"{name} {page}no valid JSON: {error!s:.200}") from error
    return parsed


def refuse_large(size: int, name: str) -> None:
    """Refuse a text that is larger than metadata and lists of structures are.

    Raises
    ------
    PackageError
        It has more bytes than the limit.
    """
    if size > current().text_bytes:
        raise PackageError(
            f"{name} is too large to be real: {size:,} bytes, {current().over('text_bytes')}"
        )


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object, and refuse one that says something twice: readers differ in what counts."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = [key for key, times in Counter(key for key, _ in pairs).items() if times > 1]
        raise ValueError(f"an object has several of {listing(map(repr, twice))}")
    return found


def _no_number(text: str) -> float:
    """Refuse NaN and Infinity, which are Python's and not JSON's."""
    raise ValueError(f"{text} is no number")


def structure_table(
    entries: Sequence[dict[str, Any]], file: str, label_values: Sequence[int] | None = None
) -> StructureTable:
    """Return structures in rank order.

    Parameters
    ----------
    entries
        Objects with acronym, id, name, path and colour, as in BrainGlobe's structures.json.
    file
        What an error calls the file that they stand in.
    label_values
        The value that stands for each in the annotation; by default its id.

    Raises
    ------
    PackageError
        An entry is malformed.
    HierarchyError
        The structures are not one tree, or their paths contradict each other.
    """
    stated = _Entries(entries, file)
    ids = stated.column("id", _is_integer, "an integer")
    try:
        hierarchy = _hierarchy(ids, stated)
    except HierarchyError as error:
        raise HierarchyError(f"{file}: {error}") from error
    if 0 in ids:
        raise PackageError(f"{file}: no structure can have the id 0, which is the background")
    if NO_LABEL in ids:
        raise PackageError(f"{file}: no structure can have the id {NO_LABEL}")
    acronyms, names = (stated.column(key, _is_text, "a text") for key in ("acronym", "name"))
    colours = stated.column("rgb_triplet", _is_colour, "three integers from 0 to 255")
    order = hierarchy.source_index
    values = hierarchy.ids if label_values is None else np.array(label_values, np.int64)[order]
    return StructureTable(
        hierarchy=hierarchy,
        acronyms=tuple(acronyms[index] for index in order.tolist()),
        names=tuple(names[index] for index in order.tolist()),
        rgb=np.array(colours, dtype=np.uint8)[order],
        label_values=values,
    )


class _Entries:
    """The entries of a file, which names the entry that is wrong."""

    def __init__(self, entries: Sequence[dict[str, Any]], file: str) -> None:
        self.entries = entries
        self._file = file

    def column(self, key: str, valid: Callable[[Any], bool], expected: str) -> list[Any]:
        """Return a key of every entry, each of which must be valid."""
        return [self._field(n, e, key, valid, expected) for n, e in enumerate(self.entries)]

    def _field(
        self,
        number: int,
        entry: dict[str, Any],
        key: str,
        valid: Callable[[Any], bool],
        expected: str,
    ) -> Any:  # noqa: ANN401 (each key has a type of its own)
        if key in entry and valid(entry[key]):
            return entry[key]
        known = [f"{known} {entry[known]!r:.40}" for known in ("id", "acronym") if known in entry]
        where = f"{self._file}: structure number {number + 1} ({', '.join(known) or 'no id'})"
        if key not in entry:
            raise PackageError(f"{where} has no {key!r}")
        raise PackageError(f"{where}: {key} must be {expected}, found {entry[key]!r:.80}")


def _hierarchy(ids: list[int], stated: _Entries) -> Hierarchy:
    """Rank the structures by their paths, or by their parents where no entry has a path."""
    entries = stated.entries
    if entries and not any("structure_id_path" in entry for entry in entries):
        parents = stated.column("parent_structure_id", _is_parent, "an integer or null")
        return Hierarchy.from_parents(ids, parents)
    paths = stated.column("structure_id_path", _is_path, "a list of integers")
    hierarchy = Hierarchy.from_paths(ids, paths)
    for structure_id, path, entry in zip(ids, paths, entries, strict=True):
        parent = path[-2] if len(path) > 1 else None
        if entry.get("parent_structure_id", parent) != parent:
            raise HierarchyError(
                f"structure {structure_id}: its parent_structure_id "
                f"{entry['parent_structure_id']} contradicts its path {path}"
            )
    return hierarchy


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_parent(value: object) -> bool:
    return value is None or _is_integer(value)


def _is_path(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_integer, value))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value


def _is_colour(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == _AXES
        and all(_is_integer(part) and 0 <= part <= np.iinfo(np.uint8).max for part in value)
    )


def checked_metadata(raw: object, file: str, folder: str) -> Metadata:
    """Return metadata as BrainGlobe's metadata.json and manifest.json have them.

    Parameters
    ----------
    raw
        The parsed file.
    file
        What an error calls it.
    folder
        The name of the atlas's folder, ``NAME_RESOLUTION_vVERSION``, whose spelling of the
        resolution goes first.

    Raises
    ------
    PackageError
        Something is missing or impossible.
    """
    try:
        return _metadata(raw, folder)
    except PackageError as error:
        raise PackageError(f"{file}: {error}") from error


def _metadata(raw: object, folder: str) -> Metadata:
    if not isinstance(raw, dict):
        raise PackageError("it must be an object")
    shape = _triple(raw, "shape", lambda n: _is_integer(n) and n > 0, "positive integers")
    resolution = _triple(raw, "resolution", _is_length, "positive numbers (microns)")
    if math.prod(shape) > _MOST_VOXELS:
        raise PackageError(f"shape {list(shape)} is too large to be real")
    orientation = _text(raw, "orientation")
    if not is_orientation(orientation):
        raise PackageError(
            f"orientation must be three letters such as 'asr' (one of a/p, s/i "
            f"and r/l each), found {orientation!r}"
        )
    symmetric = raw.get("symmetric")
    if not isinstance(symmetric, bool):
        raise PackageError(f"symmetric must be true or false, found {symmetric!r}")
    references = raw.get("additional_references", [])
    if not isinstance(references, list) or not all(map(_is_text, references)):
        raise PackageError("additional_references must be a list of texts")
    # BrainGlobe names an atlas by axis 0 once it is 'asr', that is along AP.
    along_ap = Reorientation.between(orientation).permute(resolution)[0]
    return Metadata(
        name=full_name(_text(raw, "name"), along_ap, folder),
        version=Version.parse(_text(raw, "version")),
        species=_text(raw, "species"),
        citation=_text(raw, "citation"),
        atlas_link=_text(raw, "atlas_link"),
        orientation=orientation.lower(),
        symmetric=symmetric,
        resolution_um=(float(resolution[0]), float(resolution[1]), float(resolution[2])),
        shape=shape,
        additional_references=tuple(checked_name(reference) for reference in references),
        raw=raw,
    )


def _text(raw: dict[str, Any], key: str) -> str:
    value = raw.get(key)
    if not isinstance(value, str):
        found = f"found {value!r:.80}" if key in raw else "it is missing"
        raise PackageError(f"{key} must be a text; {found}")
    return value


def _is_length(value: object) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < _LONGEST_UM
    )


def _triple(
    raw: dict[str, Any], key: str, valid: Callable[[Any], bool], expected: str
) -> tuple[Any, Any, Any]:
    value = raw.get(key)
    if not isinstance(value, list) or len(value) != _AXES or not all(map(valid, value)):
        found = f"found {value!r:.80}" if key in raw else "it is missing"
        raise PackageError(f"{key} must be three {expected}; {found}")
    return value[0], value[1], value[2]
