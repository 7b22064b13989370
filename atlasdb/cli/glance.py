"""An atlas at a glance: its levels and its largest parts as bars of text.

The one idea: a bar's length is the number beside it, so that nothing is only in the picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_WIDTH = 24
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_PARTS = 6
_DEPTH = 2  # of Allen's cerebrum, brain stem, cerebellum and tracts


def depth_of_parts(levels: Sequence[Any]) -> int:
    """Return the depth at which the volume is divided: `_DEPTH`, or the last of a flat atlas."""
    return min(_DEPTH, len(levels) - 1)


def glance(row: dict[str, Any], levels: Sequence[dict[str, Any]], cut: Iterable[Any]) -> str:
    """Draw what an atlas is made of.

    Parameters
    ----------
    row
        Its metadata.
    levels
        The rows of the named query ``levels``.
    cut
        The rows of the named query ``cut`` at `depth_of_parts`.

    Returns
    -------
    str
        Lines: a bar for each depth with the number of its structures, and the share of the root's
        volume that they have; and the largest parts of the volume.
    """
    edges = " × ".join(f"{edge:g}" for edge in row["resolution_um"])
    volume = row["root_volume_mm3"] or 0
    lines = [
        f"{row['name']}@{row['version']}: {row['structures']:,} structures of {row['species']}",
        f"{volume:,.1f} mm³ in {row['root_voxels'] or 0:,} voxels of {edges} µm",
        "",
        f"depth   structures {'':{_WIDTH - 6}}   of the volume",
    ]
    most = max(level["structures"] for level in levels)
    for level in levels:
        share = level["percent_of_root"] or 0
        lines.append(
            f"{level['depth']:>5}   {level['structures']:>6,} {bar(level['structures'] / most)}"
            f"   {share:>5.1f} % {bar(share / 100)}".rstrip()
        )
    parts = _parts(cut)
    width = max((len(name) for name, _ in parts), default=0)
    if volume and parts:
        lines += ["", f"the volume at depth {depth_of_parts(levels)}"]
    for name, part in parts if volume else ():
        share = part / volume
        lines.append(
            f"{name:<{width}}   {part:>9,.1f} mm³   {100 * share:>5.1f} % {bar(share)}".rstrip()
        )
    return "\n".join(lines)


def bar(share: float) -> str:
    """Return a bar of at most `_WIDTH` characters; the least of anything is a sliver."""
    eighths = max(round(8 * _WIDTH * share), int(share > 0))
    full, rest = divmod(eighths, 8)
    return f"{'█' * full}{_EIGHTHS[rest].strip()}".ljust(_WIDTH)


def _parts(cut: Iterable[Any]) -> list[tuple[str, float]]:
    """Return the largest parts of the volume by name, and what all others have together."""
    named = [
        (
            row["acronym"] if row["is_assigned"] else f"{row['acronym']} (unassigned)",
            row["volume_mm3"],
        )
        for row in cut
        if row["status"] == "inside" and row["volume_mm3"]
    ]
    named.sort(key=lambda pair: -pair[1])
    if len(named) <= _PARTS + 1:
        return named
    others = named[_PARTS:]
    return [*named[:_PARTS], (f"{len(others)} others", sum(volume for _, volume in others))]
