"""The cells that cellfinder writes: XML and YAML, read as streams.

The one idea: these files hold voxels of the raw sample, x y z, in the reverse order of the array,
and so are no points of an atlas, unless the caller says that they are. They come from other
machines: entities, documents within documents, anchors and tags are refused, and memory does not
grow with the file.

Source of the formats: brainglobe-utils 0.11 (``brainglobe_utils.IO.cells``).
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa

from atlasdb.cells.columns import find_coordinates
from atlasdb.cells.pieces import BLOCK_ROWS, Block, empty, saying_which
from atlasdb.errors import PointsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from atlasdb.cells.columns import Coordinates, Stated
    from atlasdb.cells.pieces import File

_CHUNK = 1 << 20
_DEEPEST = 32  # elements, or lists, within each other
_LONGEST_TEXT = 1 << 20
_MOST_VALUES = 100_000  # of a cell
_LARGEST_TYPE = 2**31 - 1

_SPATIAL = ("MarkerX", "MarkerY", "MarkerZ")


@dataclass(frozen=True)
class MarkersPiece(ABC):
    """A file of cells.

    Attributes
    ----------
    source
        The file.
    stated
        What the caller says of its coordinates.
    """

    source: File
    stated: Stated

    _NAMES: ClassVar[tuple[str, str, str]]
    """What the coordinates are called, along the axes of the array."""

    @property
    def file(self) -> str:
        """Where it is from."""
        return self.source.name

    @cached_property
    def coordinates(self) -> Coordinates:
        """Which columns are coordinates."""
        if self.stated.space != "atlas":
            raise PointsError(
                f"{self.file} holds voxels of the raw sample, as cellfinder writes them, and not "
                "points of an atlas: take brainmapper's all_points.csv; or say --space atlas, and "
                "--unit, if they are in the atlas's space (x, y, z are then read as RL, SI, AP)"
            )
        columns = self.stated.columns or self._NAMES
        # Nothing gives a unit here but the caller: markers in atlas space are nobody's format.
        stated = replace(self.stated, columns=columns, default_unit=None)
        return find_coordinates(self.schema.names, stated, self.file)

    @property
    @abstractmethod
    def schema(self) -> pa.Schema:
        """Its columns."""

    @property
    def rows(self) -> None:
        """Not known before."""
        return

    @property
    def total(self) -> int | None:
        """Bytes."""
        return self.source.size

    def blocks(self, columns: Sequence[str] | None = None) -> Iterator[Block]:
        """Yield its rows."""
        schema, first, waiting, told = self.schema, 0, [], 0
        names = schema.names if columns is None else list(columns)
        kept = pa.schema([schema.field(name) for name in names])

        def block(rows: list[dict[str, Any]], amount: int) -> Block:
            batch = pa.RecordBatch.from_pylist(rows, schema=schema).select(names)
            return Block(batch, self.file, first, amount)

        with saying_which(self.file):
            for cell, done in self._cells():
                waiting.append(cell)
                if len(waiting) == BLOCK_ROWS:
                    yield block(waiting, done - told)
                    first, told, waiting = first + len(waiting), done, []
        if waiting or not first:
            yield block(waiting, 0) if waiting else Block(empty(kept), self.file, 0, 0)

    @abstractmethod
    def _cells(self) -> Iterator[tuple[dict[str, Any], int]]:
        """Yield each cell, and how many bytes have been read."""


class XmlPiece(MarkersPiece):
    """Cells as XML: ``MarkerX``, ``MarkerY``, ``MarkerZ`` in a ``Marker_Type``."""

    _NAMES = ("MarkerZ", "MarkerY", "MarkerX")

    @property
    def schema(self) -> pa.Schema:
        """Its columns."""
        return pa.schema([*((name, pa.float64()) for name in _SPATIAL), ("type", pa.int64())])

    def _cells(self) -> Iterator[tuple[dict[str, Any], int]]:
        parser = _XmlParser(self.file)
        with self.source.opened() as stream:
            done = 0
            while data := stream.read(_CHUNK):
                done += len(data)
                for cell in parser.feed(data):
                    yield cell, done
        for cell in parser.close():
            yield cell, done


class _XmlParser:
    """Collects cells from XML that comes in parts."""

    def __init__(self, file: str) -> None:
        from xml.parsers import expat  # only for these files

        self._file = file
        self._error = expat.ExpatError
        self._parser = parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = self._doctype
        self._path: list[str] = []
        self._text: list[str] = []
        self._type: int | None = None
        self._untyped: list[dict[str, Any]] = []
        self._cell: dict[str, Any] = {}
        self._found: list[dict[str, Any]] = []
        self._number = 0
        self._length = 0
        self._fed = 0

    def feed(self, data: bytes, *, is_last: bool = False) -> list[dict[str, Any]]:
        """Parse a part and return the cells that are complete."""
        try:
            self._parser.Parse(data, is_last)
        except (self._error, LookupError) as error:  # or in an encoding that is none
            raise PointsError(f"{self._file} is no readable XML: {error}") from error
        self._fed += len(data)
        if self._fed - max(self._parser.CurrentByteIndex, 0) > _LONGEST_TEXT + 2 * _CHUNK:
            raise PointsError(
                f"{self._file}, line {self._parser.CurrentLineNumber}: a tag or a comment of over "
                f"{_LONGEST_TEXT:,} characters"
            )
        found, self._found = self._found, []
        return found

    def close(self) -> list[dict[str, Any]]:
        """Return the last cells."""
        return self.feed(b"", is_last=True)

    def _doctype(self, *_: object) -> None:
        raise PointsError(
            f"{self._file}, line {self._parser.CurrentLineNumber}: a document type with entities "
            "has no place in a file of cells; it is not read"
        )

    def _start(self, name: str, _attributes: object) -> None:
        if not self._path and name != "CellCounter_Marker_File":
            raise PointsError(
                f"{self._file} is no file of cellfinder's: it begins with <{name:.40}>, not "
                "<CellCounter_Marker_File>"
            )
        self._path.append(name)
        if len(self._path) > _DEEPEST:
            raise PointsError(f"{self._file}: more than {_DEEPEST} elements within each other")
        self._text, self._length = [], 0
        if name == "Marker_Type":
            self._type = None
        elif name == "Marker":
            self._cell = {}

    def _characters(self, text: str) -> None:
        self._text.append(text)
        self._length += len(text)
        if self._length > _LONGEST_TEXT:
            raise PointsError(f"{self._file}: a text of over {_LONGEST_TEXT:,} characters")

    def _end(self, name: str) -> None:
        self._path.pop()
        text = "".join(self._text).strip()
        self._text, self._length = [], 0
        if name == "Type" and self._path[-1:] == ["Marker_Type"]:
            self._type = _type_of(self._number_in(name, text), self._where)
        elif name in _SPATIAL and self._path[-1:] == ["Marker"]:
            if name in self._cell:
                raise PointsError(f"{self._where} has several of {name}")
            self._cell[name] = self._number_in(name, text)
        elif name == "Marker":
            self._number += 1
            missing = [axis for axis in _SPATIAL if axis not in self._cell]
            if missing:
                raise PointsError(
                    f"{self._file}, row {self._number:,} (line {self._parser.CurrentLineNumber}) "
                    f"has no {missing[0]}"
                )
            self._found.append({**self._cell, "type": self._type})
            self._cell = {}

    @property
    def _where(self) -> str:
        """Where the next marker is."""
        return f"{self._file}, row {self._number + 1:,} (line {self._parser.CurrentLineNumber})"

    def _number_in(self, name: str, text: str) -> float:
        try:
            return number_of(text)
        except ValueError:
            raise PointsError(
                f"{self._where}: {name} holds {text!r:.100}, which is no number"
            ) from None


def number_of(text: str) -> float:
    """Return the number that a text is; Python alone reads 1_000.

    Raises
    ------
    ValueError
        It is none.
    """
    if "_" in text:
        raise ValueError("no number")
    return float(text)


def _type_of(number: float, where: str) -> int:
    """Return a number as the type of a cell.

    Raises
    ------
    PointsError
        It is no whole number of 32 bits.
    """
    if not number.is_integer() or abs(number) > _LARGEST_TYPE:
        raise PointsError(f"{where}: the type {number} is no whole number of 32 bits")
    return int(number)


class YamlPiece(MarkersPiece):
    """Cells as YAML: ``candidate_cells``, each with x, y, z, type and metadata."""

    _NAMES = ("z", "y", "x")

    @property
    def schema(self) -> pa.Schema:
        """Its columns; metadata are JSON."""
        axes = [(name, pa.float64()) for name in "xyz"]
        return pa.schema([*axes, ("type", pa.int64()), ("metadata", pa.string())])

    def _cells(self) -> Iterator[tuple[dict[str, Any], int]]:
        import yaml  # only for these files

        with self.source.opened() as stream:
            loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(stream)
            try:
                for number, value in enumerate(_YamlEvents(loader, yaml, self.file).cells(), 1):
                    done = min(stream.tell(), self.total or 0)
                    yield self._cell(value, number), done
            except (yaml.YAMLError, RecursionError) as error:
                reason = " ".join(str(error).split())
                raise PointsError(f"{self.file} is no readable YAML: {reason}") from error
            finally:
                loader.dispose()

    def _cell(self, value: object, number: int) -> dict[str, Any]:
        """Return what the file says of a cell as a row."""
        if not isinstance(value, dict):
            raise PointsError(f"{self.file}, row {number:,} is no cell: {value!r:.100}")
        row: dict[str, Any] = {}
        for name in ("x", "y", "z", "type"):
            try:
                row[name] = number_of(value[name])
            except KeyError:
                raise PointsError(f"{self.file}, row {number:,} has no {name}") from None
            except (TypeError, ValueError, AttributeError):
                raise PointsError(
                    f"{self.file}, row {number:,}: {name} holds {value[name]!r:.100}, which is no "
                    "number"
                ) from None
        row["type"] = _type_of(row["type"], f"{self.file}, row {number:,}")
        metadata = value.get("metadata")
        row["metadata"] = json.dumps(metadata) if metadata else None
        return row


class _YamlEvents:
    """Builds plain values from the events of a YAML parser: texts, lists and dictionaries."""

    def __init__(self, loader: Any, yaml: Any, file: str) -> None:  # noqa: ANN401 (PyYAML's own)
        self._loader = loader
        self._yaml = yaml
        self._file = file
        self._left = _MOST_VALUES

    def cells(self) -> Iterator[Any]:
        """Yield the items of ``candidate_cells``."""
        yaml = self._yaml
        for expected in (yaml.StreamStartEvent, yaml.DocumentStartEvent):
            self._expect(self._loader.get_event(), expected)
        self._expect(self._loader.get_event(), yaml.MappingStartEvent)
        is_found = False
        while not self._loader.check_event(yaml.MappingEndEvent):
            self._left = _MOST_VALUES
            key = self._value(1)
            if key != "candidate_cells":
                self._value(1)
                continue
            is_found = True
            self._expect(self._loader.get_event(), yaml.SequenceStartEvent)
            while not self._loader.check_event(yaml.SequenceEndEvent):
                self._left = _MOST_VALUES
                yield self._value(2)
            self._loader.get_event()
        self._loader.get_event()
        for expected in (yaml.DocumentEndEvent, yaml.StreamEndEvent):
            if not isinstance(self._loader.get_event(), expected):
                raise PointsError(f"{self._file} holds several documents: split it")
        if not is_found:
            raise PointsError(f"{self._file} is no file of cellfinder's: it has no candidate_cells")

    def _expect(self, event: object, kind: type) -> None:
        if not isinstance(event, kind):
            raise PointsError(f"{self._file} is no file of cellfinder's: it has no candidate_cells")

    def _value(self, depth: int) -> Any:  # noqa: ANN401 (whatever is there)
        yaml = self._yaml
        event = self._loader.get_event()
        line = event.start_mark.line + 1
        if getattr(event, "anchor", None) is not None or getattr(event, "tag", None) is not None:
            raise PointsError(
                f"{self._file}, line {line}: anchors, aliases and tags have no place in a file of "
                "cells; it is not read"
            )
        if depth > _DEEPEST:
            raise PointsError(
                f"{self._file}, line {line}: over {_DEEPEST} levels within each other"
            )
        self._left -= 1
        if not self._left or len(getattr(event, "value", "")) > _LONGEST_TEXT:
            raise PointsError(
                f"{self._file}, line {line}: a cell of over {_MOST_VALUES:,} values, or a text of "
                f"over {_LONGEST_TEXT:,} characters"
            )
        if isinstance(event, yaml.ScalarEvent):
            return event.value
        if isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not self._loader.check_event(yaml.SequenceEndEvent):
                items.append(self._value(depth + 1))
            self._loader.get_event()
            return items
        if isinstance(event, yaml.MappingStartEvent):
            pairs = {}
            while not self._loader.check_event(yaml.MappingEndEvent):
                key = str(self._value(depth + 1))
                if key in pairs:
                    raise PointsError(f"{self._file}, line {line}: several of {key!r:.40}")
                pairs[key] = self._value(depth + 1)
            self._loader.get_event()
            return pairs
        raise PointsError(f"{self._file}, line {line}: unexpected {type(event).__name__}")
