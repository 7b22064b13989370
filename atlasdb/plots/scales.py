"""Scales: how values become colours.

The one idea: a scale is chosen from the values themselves, so that zero is where readers expect it:
at the lower end, or in the middle where values have both signs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from atlasdb.errors import PictureError
from atlasdb.plots.style import DIVERGING, SEQUENTIAL, colour_map

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from atlasdb.plots.style import Theme


@dataclass(frozen=True)
class Scale:
    """How values become colours.

    Attributes
    ----------
    cmap
        A colour map of matplotlib's.
    vmin, vmax
        The values at its ends.
    is_log
        Whether it goes by the logarithm; what is 0 has a colour of its own then.
    low, high
        The lowest and the highest value that there is.
    lowest
        The lowest that has a colour of the map: of a logarithmic scale, above 0.
    has_zeros
        Whether there are zeros, of a logarithmic scale.
    """

    cmap: Any
    vmin: float
    vmax: float
    is_log: bool
    low: float
    high: float
    lowest: float
    has_zeros: bool = False

    @classmethod
    def of(
        cls,
        numbers: NDArray[np.float64],
        *,
        cmap: str | None = None,
        vmin: float | None = None,
        vmax: float | None = None,
        log: bool = False,
    ) -> Scale:
        """Return the scale that suits some values.

        Raises
        ------
        PictureError
            Limits the wrong way round, or a logarithm of what is not positive.
        LookupFailedError
            There is no such colour map.
        """
        low, high = float(numbers.min()), float(numbers.max())
        for limit in (vmin, vmax):
            if limit is not None and not math.isfinite(limit):
                raise PictureError(f"a colour map ends at a finite value, not at {limit:g}")
        if log:
            return cls._logarithmic(numbers, cmap, vmin, vmax)
        is_diverging = low < 0 < high
        first, last = min(low, 0.0), max(high, 0.0)
        if is_diverging:  # 0 is in the middle, whichever end is named
            one = [abs(limit) for limit in (vmin, vmax) if limit is not None]
            reach = one[0] if len(one) == 1 and one[0] > 0 else max(-low, high)
            first, last = -reach, reach
        first = first if vmin is None else vmin
        last = last if vmax is None else vmax
        if first == last and vmin is None and vmax is None:
            last = first + 1
        _refuse_reversed(first, last)
        usual = DIVERGING if is_diverging else SEQUENTIAL
        return cls(colour_map(cmap or usual), first, last, False, low, high, low)

    @classmethod
    def _logarithmic(
        cls,
        numbers: NDArray[np.float64],
        cmap: str | None,
        vmin: float | None,
        vmax: float | None,
    ) -> Scale:
        low, high = float(numbers.min()), float(numbers.max())
        if low < 0 or high == 0:
            raise PictureError(f"no logarithms of values from {low:g} to {high:g}: leave out log")
        lowest = float(numbers[numbers > 0].min())
        first = lowest if vmin is None else vmin
        last = high if vmax is None else vmax
        if first == last and vmin is None and vmax is None:
            first /= 10
        if first <= 0:
            raise PictureError(f"a logarithmic scale begins above 0, not at {first:g}")
        _refuse_reversed(first, last)
        has_zeros = bool((numbers == 0).any())
        return cls(colour_map(cmap or SEQUENTIAL), first, last, True, low, high, lowest, has_zeros)

    @property
    def told(self) -> str:
        """The range, for people."""
        return f"{self.low:.4g} to {self.high:.4g}"

    @property
    def extend(self) -> str:
        """Which of the bar's ends stand for values beyond it."""
        below = self.lowest < self.vmin
        above = self.high > self.vmax
        return {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[below, above]

    @property
    def mappable(self) -> Any:  # noqa: ANN401 (matplotlib's)
        """What a colour bar is drawn of."""
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import LogNorm, Normalize

        norm = (LogNorm if self.is_log else Normalize)(self.vmin, self.vmax)
        return ScalarMappable(norm, self.cmap)

    def colours(self, numbers: NDArray[np.float64], theme: Theme) -> NDArray[np.float64]:
        """Return the colours of values, (…, 3) from 0 to 1; NaN is what has none."""
        from matplotlib.colors import to_rgb

        rgb: NDArray[np.float64] = self.mappable.to_rgba(np.ma.masked_invalid(numbers))[..., :3]
        rgb[np.isnan(numbers)] = to_rgb(theme.missing)
        if self.is_log:
            rgb[numbers == 0] = to_rgb(theme.page)
        return rgb


def _refuse_reversed(first: float, last: float) -> None:
    """Refuse a scale that ends before it begins."""
    if not first < last:
        raise PictureError(
            f"a colour map goes from a lower to a higher value, not {first:g} to {last:g}"
        )
