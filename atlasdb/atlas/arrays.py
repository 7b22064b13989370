"""An atlas's volumes as arrays: read and kept, or mapped so that only what is asked for is read.

The one idea: the annotation is never unpacked. Its ranks are mapped, and whatever part of it is
asked for is one gather through the table of label values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from atlasdb.errors import LookupFailedError, did_you_mean, listing
from atlasdb.voxels.ranks import refuse_unknown

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from atlasdb.voxels import AtlasVoxels

_OWN = ("annotation", "ranks", "reference", "hemispheres")


class MappedLabels(NDArrayOperatorsMixin):
    """The annotation as an array that is read where it is asked for, and only there.

    ``labels[50]`` is a plane as a numpy array, ``labels[50, 40, 30]`` one label, ``labels[mask]``
    and ``labels[::2, ::2, ::2]`` what numpy gives for them. ``np.asarray(labels)`` is the whole,
    and so it is in arithmetic and comparisons: ``labels == 672`` is an array.

    Parameters
    ----------
    ranks
        The rank volume, mapped.
    table
        (size,) the label that each rank stands for.
    """

    def __init__(self, ranks: NDArray[Any], table: NDArray[Any]) -> None:
        self._ranks = ranks
        self._table = table

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape, (AP, SI, RL)."""
        return self._ranks.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the labels."""
        return self._table.dtype

    @property
    def ndim(self) -> int:
        """3."""
        return self._ranks.ndim

    @property
    def size(self) -> int:
        """The number of voxels."""
        return self._ranks.size

    def __len__(self) -> int:
        return len(self._ranks)

    def __getitem__(self, index: Any) -> Any:  # noqa: ANN401 (all that numpy takes and gives)
        ranks = np.asarray(self._ranks[index])
        refuse_unknown(ranks, self._table.size)
        return self._table[ranks]

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (self[index] for index in range(len(self)))

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("the labels are made from the ranks: they cannot be had uncopied")
        return np.asarray(self[...], dtype=dtype)

    def __array_ufunc__(
        self,
        ufunc: np.ufunc,
        method: str,
        *inputs: Any,  # noqa: ANN401 (all that numpy takes)
        **keywords: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        arrays = [np.asarray(i) if isinstance(i, MappedLabels) else i for i in inputs]
        return getattr(ufunc, method)(*arrays, **keywords)

    def __contains__(self, value: object) -> bool:
        return any(bool((plane == value).any()) for plane in self)

    def __repr__(self) -> str:
        shape = " × ".join(map(str, self.shape))
        return f"<{shape} {self.dtype} labels, mapped>"


class MappedVolumes(Mapping[str, Any]):
    """An atlas's volumes by kind, memory-mapped and read-only: planes of them cost a plane.

    'annotation' (a `MappedLabels`), 'reference', 'hemispheres', 'ranks', and the additional
    references by their names; all (AP, SI, RL).

    Parameters
    ----------
    voxels
        The atlas's voxels.
    kinds
        What there is.
    """

    def __init__(self, voxels: AtlasVoxels, kinds: tuple[str, ...]) -> None:
        self._voxels = voxels
        self._kinds = kinds
        self._opened: dict[str, Any] = {}

    def __getitem__(self, kind: str) -> Any:  # noqa: ANN401 (an array, or labels)
        if kind not in self._kinds:
            raise LookupFailedError(
                f"{self._voxels.name} has no volume {kind!r}"
                f"{did_you_mean(str(kind), self._kinds)}; it has {listing(self._kinds, limit=20)}"
            )
        if kind not in self._opened:
            self._opened[kind] = self._open(kind)
        return self._opened[kind]

    def __deepcopy__(self, memo: object) -> MappedVolumes:
        return self  # nothing of it ever changes

    def _open(self, kind: str) -> Any:  # noqa: ANN401 (an array, or labels)
        if kind == "annotation":
            return MappedLabels(self._voxels.ranks, self._voxels.label_values()[:-1])
        return self._voxels.hemispheres if kind == "hemispheres" else self._voxels.volume(kind)

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)

    def __repr__(self) -> str:
        return f"<mapped volumes of {self._voxels.name}: {', '.join(self._kinds)}>"


class AdditionalReferences(Mapping[str, "NDArray[Any]"]):
    """The additional references by name: arrays, read when they are first asked for, and kept.

    Parameters
    ----------
    voxels
        The atlas's voxels.
    names
        What there is.
    """

    def __init__(self, voxels: AtlasVoxels, names: tuple[str, ...]) -> None:
        self._voxels = voxels
        self._read: dict[str, NDArray[Any]] = {}
        self.references_list = list(names)

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self.references_list:
            near = did_you_mean(str(name), self.references_list)
            there = listing(self.references_list, limit=20) or "none"
            raise LookupFailedError(
                f"{self._voxels.name} has no additional reference {name!r}{near}; it has {there}"
            )
        if name not in self._read:
            self._read[name] = self._voxels.array(name)
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.references_list)

    def __len__(self) -> int:
        return len(self.references_list)

    def __repr__(self) -> str:
        return f"<additional references: {listing(self.references_list, limit=20) or 'none'}>"


def additional_kinds(kinds: Mapping[str, object], order: Sequence[str]) -> tuple[str, ...]:
    """Return the additional references among an atlas's volumes, in the source's order.

    Parameters
    ----------
    kinds
        The volumes that there are.
    order
        The names as the source lists them; it may have promised more, or other ones.
    """
    additional = [kind for kind in kinds if kind not in _OWN]
    return tuple(dict.fromkeys([*(n for n in order if n in additional), *additional]))
