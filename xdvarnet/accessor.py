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
    same name, which describes the errors and has examples.
    """

    def __init__(self, dataset: xr.Dataset) -> None:
        self._dataset = dataset

    def observe(
        self, missions: Sequence[str], *, noise: float, rng: RandomState = None
    ) -> xr.Dataset:
        """Observe the Dataset along satellite tracks: `xdvarnet.observe`.

        Parameters
        ----------
        missions : sequence of str
            Names, of `xdvarnet.observing.missions.MISSIONS`.
        noise : float
            Standard deviation of the error of one measurement, in the units of the data.
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
            Such as ``load_model("med-ssh")`` or ``OptimalInterpolation(...)``.
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
            ``<variable>_members`` if asked for; NaN on land.
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

    def score(self, reference: xr.Dataset, *, variable: str | None = None) -> xr.Dataset:
        """Score the maps against a reference: `xdvarnet.score`.

        Parameters
        ----------
        reference : xarray.Dataset
            The truth, or better maps, on the same grid; only common days and cells are compared.
        variable : str, optional
            The variable to score; by default all gridded variables that both have.

        Returns
        -------
        xarray.Dataset
            Scalars ``rmse``, ``bias``, ``explained_variance``, ``mu``, ``sigma``,
            ``gradient_rmse``, ``n_points`` and ``n_missing``.
        """
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
        """Draw the observed cells: `xdvarnet.plot_tracks`.

        Parameters
        ----------
        variable : str
            What to draw.
        time : str or date, optional
            The day, such as ``"2005-06-20"``; by default all days together.
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
