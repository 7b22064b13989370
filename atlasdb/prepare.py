"""From a source's atlas to checked arrays, rows and files, with no database open.

The one idea: everything that can fail, or take long, happens here, in a private folder; what
remains for the ingest is to insert rows and rename two folders.
"""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from atlasdb import rows
from atlasdb.errors import PackageError, ShapeError, listing
from atlasdb.findings import Finding
from atlasdb.home import sync_file, sync_folder
from atlasdb.limits import current
from atlasdb.meshes import MeshFile, count_mesh, reorient_mesh
from atlasdb.runs import LEFT, NEITHER, RIGHT, find_extents, find_runs, rank_labels, rank_slabs
from atlasdb.sources.base import EVERYTHING
from atlasdb.space import STANDARD, Reorientation, first_left_index
from atlasdb.volumes import Blob, write_contiguous, write_mapped, write_volume

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

    from atlasdb.runs import Extents, RankedLabels, Runs
    from atlasdb.sources.base import Progress, Selection, SourceAtlas

_DTYPES = {"annotation": "uint32", "hemispheres": "uint8"}
_REFERENCE_DTYPE = "uint16"
_RESERVED = frozenset({"annotation", "annotation.ranks", "ranks", "reference", "hemispheres"})
_ASYMMETRY = 0.1

MESHES_LEFT_OUT = Finding("parts_left_out", "meshes were left out")
"""Says of an atlas that its meshes can be fetched later."""


@dataclass(frozen=True)
class Prepared:
    """An atlas ready to be put into a home.

    Attributes
    ----------
    shape, resolution_um
        Of the volumes as they are kept: axes AP, SI, RL.
    tables
        Arrow tables by the name of the table that they go into, without ``atlas_id``; those of
        ``volume`` and ``mesh`` are made when the folders have their names.
    volumes
        The folder of TIFF files, and what is in it.
    meshes
        The folder of OBJ files; counts and bytes by structure id.
    findings
        What the ingest check saw.
    """

    shape: tuple[int, int, int]
    resolution_um: tuple[float, float, float]
    tables: dict[str, pa.Table]
    volumes_folder: Path
    volumes: tuple[Blob, ...]
    meshes_folder: Path
    meshes: dict[int, MeshFile]
    findings: tuple[Finding, ...]


def prepare(
    source: SourceAtlas, staging: Path, progress: Progress, selection: Selection = EVERYTHING
) -> Prepared:
    """Check an atlas, compute its ranks, runs and extents, and write its files.

    Parameters
    ----------
    source
        The atlas.
    staging
        A private folder on the home's file system.
    progress
        Told of the steps.
    selection
        Whether meshes and references are wanted.

    Raises
    ------
    PackageError
        A volume that cannot be read or contradicts the metadata.
    """
    volumes_folder, meshes_folder = staging / "volumes", staging / "meshes"
    volumes_folder.mkdir()
    meshes_folder.mkdir()
    progress.step("volumes and meshes")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        mesh_work = pool.submit(_prepare_meshes, source, meshes_folder, selection)
        reference_work = pool.submit(_prepare_references, source, volumes_folder, selection)
        annotation = _prepare_annotation(source, volumes_folder)
        meshes, mesh_findings = mesh_work.result()
        references, reference_findings = reference_work.result()
    sync_folder(volumes_folder)
    turn = Reorientation.between(source.metadata.orientation)
    resolution_um = turn.permute(source.metadata.resolution_um)
    structures = source.structures
    findings = (
        *source.findings,
        *_source_findings(source, turn),
        *annotation.findings,
        *reference_findings,
        *mesh_findings,
    )
    return Prepared(
        shape=annotation.runs.shape,
        resolution_um=resolution_um,
        tables={
            "structure": rows.structure_rows(structures),
            "structure_closure": rows.closure_rows(structures),
            "structure_extent": rows.extent_rows(structures, annotation.extents, resolution_um),
            "label": rows.label_rows(annotation.labels),
            "annotation_run": rows.run_rows(annotation.runs, annotation.labels),
            "finding": rows.finding_rows(findings),
        },
        volumes_folder=volumes_folder,
        volumes=(*annotation.blobs, *references),
        meshes_folder=meshes_folder,
        meshes=meshes,
        findings=findings,
    )


@dataclass(frozen=True)
class _Annotation:
    """What the label volume gave."""

    runs: Runs
    labels: RankedLabels
    extents: Extents
    blobs: tuple[Blob, ...]
    findings: tuple[Finding, ...]


def _prepare_annotation(source: SourceAtlas, folder: Path) -> _Annotation:
    """Write the annotation, its ranks and its hemispheres, and measure the structures."""
    turn = Reorientation.between(source.metadata.orientation)
    raw = source.volume("annotation")
    if raw is None:
        raise PackageError("the annotation is missing")
    findings = _dtype_findings("annotation", raw)
    volume = turn.volume(_as_integers(raw))
    hemispheres, hemisphere_findings = _hemispheres(source, turn, volume.shape)
    runs = find_runs(volume, hemispheres)
    labels = rank_labels(runs, source.structures.hierarchy, source.structures.label_values)
    _refuse_noise(len(labels.values))
    extents = find_extents(runs, labels.run_rank, source.structures.hierarchy)
    blobs = [
        write_volume(folder / "annotation.tiff", volume, kind="annotation"),
        write_contiguous(
            folder / "annotation.ranks.tiff",
            rank_slabs(runs, labels.run_rank),
            shape=runs.shape,
            kind="ranks",
        ),
    ]
    if hemispheres is not None:
        blobs.append(write_mapped(folder / "hemispheres.tiff", hemispheres, kind="hemispheres"))
    findings += hemisphere_findings
    findings += _label_findings(source, labels, extents)
    if source.metadata.symmetric:
        middle = _middle_voxels(source, volume, labels)
        findings += _asymmetry_findings(source, extents, middle)
    return _Annotation(runs, labels, extents, tuple(blobs), tuple(findings))


def _refuse_noise(values: int) -> None:
    """Refuse what has so many values that it is no annotation, but an image, or noise."""
    if values > current().labels:
        raise PackageError(
            f"the annotation has {values:,} different labels, {current().over('labels')}"
        )


def _as_integers(volume: NDArray[Any]) -> NDArray[Any]:
    """Return label values as integers that fit 63 bits, or refuse them."""
    if volume.dtype.kind in "iu":
        if volume.dtype == np.uint64 and volume.size and volume.max() > np.iinfo(np.int64).max:
            raise PackageError("the annotation has label values over 2**63 - 1")
        return volume
    with np.errstate(invalid="ignore"):  # NaN becomes something that differs from it
        integers = volume.astype(np.int64) if volume.dtype.kind in "fb" else None
    if integers is None or not np.array_equal(integers, volume):
        raise PackageError(
            f"the annotation must hold integers, found {volume.dtype.name} with other values"
        )
    return integers


def _hemispheres(
    source: SourceAtlas, turn: Reorientation, shape: tuple[int, ...]
) -> tuple[NDArray[np.uint8] | None, list[Finding]]:
    """Return the hemisphere volume in 'asr', None for the rule of a symmetric atlas."""
    try:
        raw = source.volume("hemispheres")
    except ShapeError as error:
        missing = [] if source.metadata.symmetric else [Finding("hemispheres_missing", str(error))]
        return None, [Finding("volume_shape", f"{error}; left out"), *missing]
    if raw is None:
        detail = "declared asymmetric, but there is no hemisphere volume; the midline is used"
        return None, [] if source.metadata.symmetric else [Finding("hemispheres_missing", detail)]
    volume = turn.volume(raw)
    findings = _dtype_findings("hemispheres", raw)
    known = np.isin(volume, (LEFT, RIGHT, NEITHER))
    if not known.all():
        found = listing(np.unique(volume[~known]).tolist())
        detail = (
            f"the hemisphere volume has {found} in {np.count_nonzero(~known):,} voxels, taken as 0"
        )
        findings.append(Finding("hemisphere_values", detail))
    sides = np.where(known, volume, NEITHER).astype(np.uint8)
    if not source.metadata.symmetric:
        return sides, findings
    rule = np.where(np.arange(shape[2]) < first_left_index(shape[2]), RIGHT, LEFT)
    different = np.count_nonzero((sides != rule) & (sides != NEITHER))
    if different:
        detail = (
            f"{different:,} voxels of the hemisphere volume are not on their side of the midline"
        )
        findings.append(Finding("hemispheres_disagree", f"{detail}; the midline is used"))
    return None, findings


def _prepare_references(
    source: SourceAtlas, folder: Path, selection: Selection
) -> tuple[list[Blob], list[Finding]]:
    """Write the reference and the additional references."""
    if not selection.references:
        return [], [Finding("parts_left_out", "references were left out")]
    turn = Reorientation.between(source.metadata.orientation)
    additional = source.metadata.additional_references
    if _RESERVED & {name.lower() for name in additional} or len(
        {name.lower() for name in additional}
    ) < len(additional):
        raise PackageError(f"additional references cannot be named {listing(additional)}")
    blobs: list[Blob] = []
    findings: list[Finding] = []
    for kind in ("reference", *additional):
        try:
            volume = source.volume(kind)
        except ShapeError as error:
            if kind == "reference":
                raise
            findings.append(Finding("volume_shape", f"{error}; left out"))
            continue
        if volume is None:
            findings.append(Finding("volume_missing", f"there is no {kind}"))
            continue
        if volume.dtype.kind not in "iufb":
            raise PackageError(f"{kind} must hold numbers, found {volume.dtype.name}")
        findings += _dtype_findings(kind, volume)
        blobs.append(write_mapped(folder / f"{kind}.tiff", turn.volume(volume), kind=kind))
    return blobs, findings


def _prepare_meshes(
    source: SourceAtlas, folder: Path, selection: Selection
) -> tuple[dict[int, MeshFile], list[Finding]]:
    """Put the meshes of known structures into the folder, durably, and count what is in them."""
    if not selection.meshes:
        return {}, [MESHES_LEFT_OUT]
    known = set(source.structures.hierarchy.ids.tolist())
    findings = [
        Finding("mesh_without_structure", f"{i}.obj belongs to no structure; left out")
        for i in sorted(source.meshes.keys() - known)
    ]
    turn = Reorientation.between(source.metadata.orientation)
    extent = np.multiply(source.metadata.shape, source.metadata.resolution_um)
    wanted = {i: source.meshes[i] for i in sorted(source.meshes.keys() & known)}
    meshes, unreadable = place_meshes(
        wanted, folder, turn, extent.tolist(), owns_files=source.owns_files
    )
    findings += unreadable
    structures = source.structures
    findings += [
        mesh_missing(structure_id, acronym)
        for structure_id, acronym in zip(
            structures.hierarchy.ids.tolist(), structures.acronyms, strict=True
        )
        if structure_id not in source.meshes
    ]
    return meshes, findings


def mesh_missing(structure_id: int, acronym: str) -> Finding:
    """Return the finding that a structure has no mesh."""
    return Finding("mesh_missing", f"{acronym} has no mesh", structure_id)


def place_meshes(
    files: Mapping[int, Path],
    folder: Path,
    turn: Reorientation,
    extent_um: Sequence[float],
    *,
    owns_files: bool,
) -> tuple[dict[int, MeshFile], list[Finding]]:
    """Put mesh files into a folder as the home keeps them, durably, and count what is in them.

    Parameters
    ----------
    files
        OBJ files by structure id, microns, in the source's axis order.
    folder
        Where to.
    turn
        From the source's orientation to the home's.
    extent_um
        The extent of the source's volumes along their own axes.
    owns_files
        Whether the files may be moved.

    Returns
    -------
    meshes, findings
        What each file is, by structure id; files that are no meshes, which are left out.
    """

    def place(structure_id: int) -> MeshFile | None:
        path, target = files[structure_id], folder / f"{structure_id}.obj"
        try:
            counts = count_mesh(path)
        except PackageError:
            return None
        if not all(counts):
            return None
        if not turn.is_identity:
            reorient_mesh(path, target, turn, extent_um)
        elif owns_files:
            path.replace(target)
        else:
            shutil.copyfile(path, target)
        sync_file(target)
        return MeshFile.of(target, counts)

    findings: list[Finding] = []
    meshes: dict[int, MeshFile] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for structure_id, placed in zip(files, pool.map(place, files), strict=True):
            if placed is not None:
                meshes[structure_id] = placed
            else:
                detail = f"{structure_id}.obj has no faces, or cannot be parsed; left out"
                findings.append(Finding("mesh_unreadable", detail, structure_id))
    sync_folder(folder)
    return meshes, findings


def _dtype_findings(kind: str, volume: NDArray[Any]) -> list[Finding]:
    """Report a volume whose type is not the one that BrainGlobe's format has for it."""
    expected = _DTYPES.get(kind, _REFERENCE_DTYPE)
    if volume.dtype.name == expected:
        return []
    return [Finding("unexpected_dtype", f"{kind} is {volume.dtype.name}, not {expected}")]


def _source_findings(source: SourceAtlas, turn: Reorientation) -> Iterator[Finding]:
    """Yield what the metadata and the structures alone show."""
    structures = source.structures
    if not turn.is_identity:
        detail = f"turned from {source.metadata.orientation!r} to {STANDARD!r}"
        yield Finding("reoriented", detail)
    if structures.acronyms[0] != "root":
        detail = f"the root's acronym is {structures.acronyms[0]!r}, not 'root'"
        yield Finding("root_name", detail, structures.hierarchy.root_id)
    for acronym, ranks in structures.ranks_by_acronym.items():
        if len(ranks) > 1:
            ids = structures.ids_of(ranks)
            for structure_id in ids:
                detail = f"acronym {acronym!r} belongs to the structures {listing(ids)}"
                yield Finding("duplicate_acronym", detail, structure_id)


def _label_findings(
    source: SourceAtlas, labels: RankedLabels, extents: Extents
) -> Iterator[Finding]:
    """Yield labels without a structure and structures without a voxel."""
    for value, voxels in zip(
        labels.values[~labels.known].tolist(), labels.voxels[~labels.known].tolist(), strict=True
    ):
        yield Finding(
            "label_without_structure", f"label {value} ({voxels:,} voxels) has no structure"
        )
    structures = source.structures
    for index in np.flatnonzero(extents.voxels[0] == 0).tolist():
        yield Finding(
            "structure_without_voxels",
            f"no voxel bears {structures.acronyms[index]} or a descendant",
            int(structures.hierarchy.ids[index]),
        )


def _middle_voxels(
    source: SourceAtlas, volume: NDArray[Any], labels: RankedLabels
) -> NDArray[np.int64]:
    """Return (n,) voxels of each subtree in the middle plane of an odd axis, which is neither side.

    Zeros where the right-left axis is even.
    """
    tree = source.structures.hierarchy
    direct = np.zeros(len(tree), dtype=np.int64)
    if volume.shape[2] % 2:
        values, counts = np.unique(volume[..., volume.shape[2] // 2], return_counts=True)
        position = np.searchsorted(labels.values, values.astype(np.int64))
        for where, value, count in zip(position.tolist(), values, counts, strict=True):
            if value != 0 and labels.known[where]:
                direct[labels.rank[where] - 1] = count
    return tree.subtree_sum(direct)


def _asymmetry_findings(
    source: SourceAtlas, extents: Extents, middle: NDArray[np.int64]
) -> Iterator[Finding]:
    """Yield the structures of a symmetric atlas whose sides differ by over 10 % of their sum."""
    left, right = extents.voxels[1] - middle, extents.voxels[2]
    structures = source.structures
    for index in np.flatnonzero(np.abs(left - right) > _ASYMMETRY * (left + right)).tolist():
        yield Finding(
            "asymmetric_labels",
            f"{structures.acronyms[index]} has {left[index]:,} voxels left, {right[index]:,} right",
            int(structures.hierarchy.ids[index]),
        )
