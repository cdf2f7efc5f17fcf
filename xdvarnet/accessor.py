"""The accessor ``.dvarnet``: the public functions as methods of a Dataset."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import pandas as pd
import xarray as xr

from xdvarnet._random import RandomState
from xdvarnet.diagnostics import geostrophic
from xdvarnet.export import to_duacs
from xdvarnet.grids.harmonise.product import harmonise
from xdvarnet.grids.regrid.fields import regrid
from xdvarnet.metrics.table import score
from xdvarnet.observing.noise import Noise
from xdvarnet.observing.observer import Observer
from xdvarnet.observing.system import observe
from xdvarnet.plot.axes import Day
from xdvarnet.plot.maps import plot_map
from xdvarnet.plot.tracks import plot_tracks
from xdvarnet.tracks.bin import bin_tracks
from xdvarnet.tracks.sample import sample_tracks

if TYPE_CHECKING:
    from cartopy.mpl.geoaxes import GeoAxes
    from matplotlib.colors import Colormap

    from xdvarnet.mapping.protocol import Reconstructor


@xr.register_dataset_accessor("dvarnet")
class DVarNetAccessor:
    """Harmonise, observe, reconstruct, regrid, score, export and plot a Dataset.

    It holds the Dataset and nothing else: each method is one call of the public function of the
    same name, which describes the errors and has examples.
    """

    def __init__(self, dataset: xr.Dataset) -> None:
        self._dataset = dataset

    def harmonise(self) -> xr.Dataset:
        """Bring a product to one convention of names, units and axes: `xdvarnet.harmonise`.

        Returns
        -------
        xarray.Dataset
            With ``time``, ``lat``, ``lon`` and those of ``ssh``, ``sla``, ``mdt``, ``lwe`` (m) and
            ``sst`` (degC) that there are; the attribute ``xdvarnet_harmonised`` says what was done.
        """
        return harmonise(self._dataset)

    def observe(
        self,
        missions: Sequence[str] | Observer,
        *,
        noise: float | Mapping[str, Noise] | None = None,
        rng: RandomState = None,
    ) -> xr.Dataset:
        """Observe the Dataset along satellite tracks: `xdvarnet.observe`.

        Parameters
        ----------
        missions : sequence of str or Observer
            Names, of `xdvarnet.observing.missions.MISSIONS`; or what observes with a noise of its
            own, as `CloudySST` and `CombinedSystem` do.
        noise : float or mapping of str to (float or KarinNoise)
            Standard deviation of the error of one measurement, in the units of the data, of all
            missions or of each; needed with names.
        rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
            Source of the phases and errors; two calls with one seed are equal.

        Returns
        -------
        xarray.Dataset
            On the same grid, NaN where nothing was measured, with the coordinate ``sea``.
        """
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
        """Complete the observations to maps with a model: `xdvarnet.reconstruct`.

        Parameters
        ----------
        model : Reconstructor
            Such as ``load_model("med-ssh")`` or ``OptimalInterpolation(...)``; for series, such
            as ``load_model("lorenz63")``.
        members : int, optional
            Number of members of the ensemble, for a model that has one.
        return_members : bool
            Whether to return the members.
        rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
            Source of the members.
        progress : bool
            Whether to show a bar over the windows (not for lazy data).

        Returns
        -------
        xarray.Dataset
            Each variable, ``<variable>_std`` where the model has one, and
            ``<variable>_members`` if asked for; NaN on land. For series, ``state`` likewise.
        """
        from xdvarnet.mapping.reconstruct import reconstruct

        return reconstruct(
            self._dataset,
            model,
            members=members,
            return_members=return_members,
            rng=rng,
            progress=progress,
        )

    def score(
        self,
        reference: xr.Dataset,
        *,
        variable: str | None = None,
        kind: Literal["gridded", "osse2020a", "ose2021a", "ose2023a", "series"] = "gridded",
    ) -> xr.Dataset:
        """Score the maps against a reference: `xdvarnet.score`.

        Parameters
        ----------
        reference : xarray.Dataset
            The truth, or better maps, on the same grid, of which common days and cells are
            compared; or the tracks of a withheld altimeter for ``ose2021a`` and ``ose2023a``.
        variable : str, optional
            The variable to score; by default all gridded variables that both have, and that of
            the challenge.
        kind : {"gridded", "osse2020a", "ose2021a", "ose2023a", "series"}
            Which scores; three are those of the mapping challenges, and the last is for ``state``
            (sample, time, component).

        Returns
        -------
        xarray.Dataset
            Scalars ``rmse``, ``bias``, ``explained_variance``, ``mu``, ``sigma``,
            ``gradient_rmse``, ``n_points`` and ``n_missing``; or those of the challenge.
        """
        return score(self._dataset, reference, variable=variable, kind=kind)

    def regrid(
        self,
        target: xr.Dataset,
        *,
        method: str = "linear",
        engine: str = "native",
        weights: xr.Dataset | None = None,
    ) -> xr.Dataset:
        """Regrid to the horizontal grid of another Dataset: `xdvarnet.regrid`.

        Parameters
        ----------
        target : xarray.Dataset
            Its longitude and latitude are the new grid.
        method : {"linear", "conservative", "conservative_normed", "nearest"}
            How.
        engine : {"native", "xesmf"}
            What computes the weights.
        weights : xarray.Dataset, optional
            Of `xdvarnet.grids.regrid.fields.regrid_weights`, for the same grids and method.

        Returns
        -------
        xarray.Dataset
            The same variables on the new grid.
        """
        return regrid(self._dataset, target, method=method, engine=engine, weights=weights)

    def sample_tracks(
        self,
        tracks: xr.Dataset,
        *,
        method: Literal["linear", "nearest", "bicubic"] = "linear",
        engine: Literal["xarray", "pyinterp"] = "xarray",
    ) -> xr.Dataset:
        """Sample the maps at the points of tracks: `xdvarnet.sample_tracks`.

        Parameters
        ----------
        tracks : xarray.Dataset
            Longitude, latitude and time of the points, along a nadir track or in a swath.
        method : {"linear", "nearest", "bicubic"}
            Interpolation in space.
        engine : {"xarray", "pyinterp"}
            What interpolates.

        Returns
        -------
        xarray.Dataset
            The sampled variables, with the dimensions and coordinates of the tracks.
        """
        return sample_tracks(self._dataset, tracks, method=method, engine=engine)

    def bin_tracks(
        self,
        grid: xr.Dataset,
        *,
        statistic: Literal["mean", "median", "count", "std"] = "mean",
        time: xr.DataArray | pd.DatetimeIndex | Sequence | None = None,
    ) -> xr.Dataset:
        """Average these tracks in the cells of a grid, day by day: `xdvarnet.bin_tracks`.

        Parameters
        ----------
        grid : xarray.Dataset
            Its longitude, latitude and mask ``sea`` are used.
        statistic : {"mean", "median", "count", "std"}
            Of the values in a cell.
        time : xarray.DataArray, pandas.DatetimeIndex or sequence of dates, optional
            Stamps; default midnight of every day from the first track to the last.

        Returns
        -------
        xarray.Dataset
            On the grid, NaN where there is no value.
        """
        return bin_tracks(self._dataset, grid, statistic=statistic, time=time)

    def geostrophic(self, variable: str = "ssh", *, min_latitude: float = 5.0) -> xr.Dataset:
        """Geostrophic currents of sea surface height: `xdvarnet.geostrophic`.

        Parameters
        ----------
        variable : str
            Sea surface height, in units that convert to m.
        min_latitude : float
            Degrees; nearer to the equator the currents are NaN.

        Returns
        -------
        xarray.Dataset
            ``ugos`` and ``vgos`` in m/s; ``ugosa`` and ``vgosa`` of a sea level anomaly.
        """
        return geostrophic(self._dataset, variable, min_latitude=min_latitude)

    def to_duacs(self, *, variable: str = "ssh") -> xr.Dataset:
        """Bring the maps to the form of the DUACS products: `xdvarnet.to_duacs`.

        Parameters
        ----------
        variable : str
            Sea surface height, in units that convert to m; ``sla`` is exported as well.

        Returns
        -------
        xarray.Dataset
            ``adt`` or ``sla`` with geostrophic currents and ``err_sla``, ready for ``to_netcdf``.
        """
        return to_duacs(self._dataset, variable=variable)

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
        """Draw the map of one day: `xdvarnet.plot_map`.

        Parameters
        ----------
        variable : str
            What to draw.
        time : str or date, optional
            The day, such as ``"2005-06-20"``; not needed where there is only one.
        ax : cartopy.mpl.geoaxes.GeoAxes, optional
            Axes to draw in; default new ones in a new figure.
        cmap : str or matplotlib.colors.Colormap, optional
            Default by the variable's name, from cmocean.
        vmin, vmax : float, optional
            Limits of the colours, in the variable's units; default from the data.
        title : str, optional
            Default the date.
        colorbar : bool
            Whether to draw the colour bar, with the variable's long name and units.

        Returns
        -------
        cartopy.mpl.geoaxes.GeoAxes
            The axes, to add to.
        """
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
        """Draw the points of tracks and swaths, or observed cells: `xdvarnet.plot_tracks`.

        Parameters
        ----------
        variable : str
            What to draw.
        time : str or date, optional
            The day, such as ``"2005-06-20"``; of points, from noon of the day before to noon. By
            default all days together.
        ax : cartopy.mpl.geoaxes.GeoAxes, optional
            Axes to draw in; default new ones in a new figure.
        cmap : str or matplotlib.colors.Colormap, optional
            Default by the variable's name, from cmocean.
        vmin, vmax : float, optional
            Limits of the colours, in the variable's units; default from the data.
        title : str, optional
            Default the date.
        colorbar : bool
            Whether to draw the colour bar, with the variable's long name and units.

        Returns
        -------
        cartopy.mpl.geoaxes.GeoAxes
            The axes, to add to.
        """
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
