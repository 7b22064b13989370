"""Pictures of atlases, of their structures, and of data on them; needs matplotlib."""

from __future__ import annotations

from atlasdb.plots.bars import plot_bars
from atlasdb.plots.heatmaps import plot_heatmap
from atlasdb.plots.picture import Picture
from atlasdb.plots.points import plot_cells
from atlasdb.plots.slices import plot_slice
from atlasdb.plots.trees import plot_tree

__all__ = ["Picture", "plot_bars", "plot_cells", "plot_heatmap", "plot_slice", "plot_tree"]
