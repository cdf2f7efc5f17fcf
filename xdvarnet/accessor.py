"""The accessor ``.dvarnet``: the public functions as methods of a Dataset."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import xarray as xr

from xdvarnet._random import RandomState
from xdvarnet.metrics.scores import score
from xdvarnet.observing.system import observe
from xdvarnet.plot.axes import Day
from xdvarnet.plot.maps import plot_map
from xdvarnet.plot.tracks import plot_tracks

if TYPE_CHECKING:
    from cartopy.mpl.geoaxes import GeoAxes
    from matplotlib.colors import Colormap

    from xdvarnet.models.base import Reconstructor


@xr.register_dataset_accessor("dvarnet")
class DVarNetAccessor:
    """Observe, reconstruct, score and plot a Dataset.

    It holds the Dataset and nothing else: each method is one call of the public function of the
    same name, where parameters are described.
    """

    def __init__(self, dataset: xr.Dataset) -> None:
        self._dataset = dataset

    def observe(
        self, missions: Sequence[str], *, noise: float, rng: RandomState = None
    ) -> xr.Dataset:
        """Observe the Dataset along satellite tracks: `xdvarnet.observe`."""
        return observe(self._dataset, missions, noise=noise, rng=rng)

    def reconstruct(
        self,
        model: "Reconstructor",
        *,
        members: int | None = None,
        return_members: bool = False,
        rng: RandomState = None,
        progress: bool = False,
    ) -> xr.Dataset:
        """Complete the observations to maps with a model: `xdvarnet.reconstruct`."""
        from xdvarnet.mapping.reconstruct import reconstruct

        return reconstruct(
            self._dataset,
            model,
            members=members,
            return_members=return_members,
            rng=rng,
            progress=progress,
        )

    def score(self, reference: xr.Dataset, *, variable: str | None = None) -> xr.Dataset:
        """Score the maps against a reference: `xdvarnet.score`."""
        return score(self._dataset, reference, variable=variable)

    def plot_map(
        self,
        variable: str,
        *,
        time: Day | None = None,
        ax: "GeoAxes | None" = None,
        cmap: "str | Colormap | None" = None,
        vmin: float | None = None,
        vmax: float | None = None,
        title: str | None = None,
        colorbar: bool = True,
    ) -> "GeoAxes":
        """Draw the map of one day: `xdvarnet.plot_map`."""
        return plot_map(
            self._dataset,
            variable,
            time=time,
            ax=ax,
            cmap=cmap,
            vmin=vmin,
            vmax=vmax,
            title=title,
            colorbar=colorbar,
        )

    def plot_tracks(
        self,
        variable: str,
        *,
        time: Day | None = None,
        ax: "GeoAxes | None" = None,
        cmap: "str | Colormap | None" = None,
        vmin: float | None = None,
        vmax: float | None = None,
        title: str | None = None,
        colorbar: bool = True,
    ) -> "GeoAxes":
        """Draw the observed cells: `xdvarnet.plot_tracks`."""
        return plot_tracks(
            self._dataset,
            variable,
            time=time,
            ax=ax,
            cmap=cmap,
            vmin=vmin,
            vmax=vmax,
            title=title,
            colorbar=colorbar,
        )
