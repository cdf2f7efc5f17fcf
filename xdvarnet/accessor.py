"""The accessor ``.dvarnet``: the public functions as methods of a Dataset."""

import inspect
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import xarray as xr

from xdvarnet._html import html_table
from xdvarnet._random import RandomState

if TYPE_CHECKING:
    import pandas as pd
    from cartopy.mpl.geoaxes import GeoAxes
    from matplotlib.colors import Colormap

    from xdvarnet.mapping.protocol import Reconstructor
    from xdvarnet.observing.base import Mission
    from xdvarnet.observing.noise import Noise
    from xdvarnet.observing.observer import Observer
    from xdvarnet.plot.axes import Day
    from xdvarnet.tracks.noise import PointNoise


@xr.register_dataset_accessor("dvarnet")
class DVarNetAccessor:
    """Harmonise, observe, reconstruct, regrid, score, export and plot a Dataset.

    It holds the Dataset and nothing else: each method is one call of the public function of the
    same name, which describes the errors and has examples.
    """

    def __init__(self, dataset: xr.Dataset) -> None:
        self._dataset = dataset

    def _repr_html_(self) -> str:
        methods = {
            name: (inspect.getdoc(method) or "").splitlines()[0]
            for name, method in vars(type(self)).items()
            if not name.startswith("_")
        }
        return html_table("Dataset.dvarnet", methods)

    def harmonise(self) -> xr.Dataset:
        """Bring a product to one convention of names, units and axes.

        As `xdvarnet.harmonise`, which describes parameters, results and errors.
        """
        from xdvarnet.grids.harmonise.product import harmonise

        return harmonise(self._dataset)

    def observe(
        self,
        missions: "Sequence[str | Mission] | Observer",
        *,
        noise: "float | Mapping[str, Noise] | None" = None,
        rng: RandomState = None,
    ) -> xr.Dataset:
        """Observe the Dataset along satellite tracks.

        As `xdvarnet.observe`, which describes parameters, results and errors.
        """
        from xdvarnet.observing.system import observe

        return observe(self._dataset, missions, noise=noise, rng=rng)

    def reconstruct(
        self,
        model: "Reconstructor",
        *,
        members: int | None = None,
        return_members: bool = False,
        rng: RandomState = None,
        progress: bool = False,
        store: str | os.PathLike | None = None,
    ) -> xr.Dataset:
        """Complete the observations to maps with a model.

        As `xdvarnet.reconstruct`, which describes parameters, results and errors.
        """
        from xdvarnet.mapping.reconstruct import reconstruct

        return reconstruct(
            self._dataset,
            model,
            members=members,
            return_members=return_members,
            rng=rng,
            progress=progress,
            store=store,
        )

    def score(
        self,
        reference: xr.Dataset,
        *,
        variable: str | None = None,
        kind: Literal["gridded", "osse2020a", "ose2021a", "ose2023a", "series"] = "gridded",
    ) -> xr.Dataset:
        """Score the maps against a reference.

        As `xdvarnet.score`, which describes parameters, results and errors.
        """
        from xdvarnet.metrics.table import score

        return score(self._dataset, reference, variable=variable, kind=kind)

    def regrid(
        self,
        target: xr.Dataset,
        *,
        method: str = "linear",
        engine: str = "native",
        weights: xr.Dataset | None = None,
        na_thres: float | None = None,
    ) -> xr.Dataset:
        """Regrid to the horizontal grid of another Dataset.

        As `xdvarnet.regrid`, which describes parameters, results and errors.
        """
        from xdvarnet.grids.regrid.fields import regrid

        return regrid(
            self._dataset, target, method=method, engine=engine, weights=weights, na_thres=na_thres
        )

    def sample_tracks(
        self,
        tracks: xr.Dataset,
        *,
        method: Literal["linear", "nearest", "bicubic"] = "linear",
        engine: Literal["xarray", "pyinterp"] = "xarray",
    ) -> xr.Dataset:
        """Sample the maps at the points of tracks.

        As `xdvarnet.sample_tracks`, which describes parameters, results and errors.
        """
        from xdvarnet.tracks.sample import sample_tracks

        return sample_tracks(self._dataset, tracks, method=method, engine=engine)

    def bin_tracks(
        self,
        grid: xr.Dataset,
        *,
        statistic: Literal["mean", "median", "count", "std"] = "mean",
        time: "xr.DataArray | pd.DatetimeIndex | Sequence | None" = None,
        noise: "PointNoise | None" = None,
    ) -> xr.Dataset:
        """Average these tracks in the cells of a grid, day by day.

        As `xdvarnet.bin_tracks`, which describes parameters, results and errors.
        """
        from xdvarnet.tracks.bin import bin_tracks

        return bin_tracks(self._dataset, grid, statistic=statistic, time=time, noise=noise)

    def geostrophic(self, variable: str = "ssh", *, min_latitude: float = 5.0) -> xr.Dataset:
        """Geostrophic currents of sea surface height.

        As `xdvarnet.geostrophic`, which describes parameters, results and errors.
        """
        from xdvarnet.diagnostics import geostrophic

        return geostrophic(self._dataset, variable, min_latitude=min_latitude)

    def to_duacs(self, *, variable: str = "ssh") -> xr.Dataset:
        """Bring the maps to the form of the DUACS products.

        As `xdvarnet.to_duacs`, which describes parameters, results and errors.
        """
        from xdvarnet.export import to_duacs

        return to_duacs(self._dataset, variable=variable)

    def plot_map(
        self,
        variable: str,
        *,
        time: "Day | None" = None,
        ax: "GeoAxes | None" = None,
        cmap: "str | Colormap | None" = None,
        vmin: float | None = None,
        vmax: float | None = None,
        title: str | None = None,
        colorbar: bool = True,
    ) -> "GeoAxes":
        """Draw the map of one day.

        As `xdvarnet.plot_map`, which describes parameters, results and errors.
        """
        from xdvarnet.plot.maps import plot_map

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
        time: "Day | None" = None,
        ax: "GeoAxes | None" = None,
        cmap: "str | Colormap | None" = None,
        vmin: float | None = None,
        vmax: float | None = None,
        title: str | None = None,
        colorbar: bool = True,
    ) -> "GeoAxes":
        """Draw the points of tracks and swaths, or observed cells.

        As `xdvarnet.plot_tracks`, which describes parameters, results and errors.
        """
        from xdvarnet.plot.tracks import plot_tracks

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
