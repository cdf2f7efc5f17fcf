"""Trivial references: what a method must beat to have a use.

Both are a known map plus the running basin mean of the observations; they use no observation
otherwise.
"""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from xdvarnet.errors import InvalidInputError
from xdvarnet.grids.checks import check_dataset
from xdvarnet.grids.coords import Axes, find_axes
from xdvarnet.mapping.background import Background, MeanMapBackground
from xdvarnet.mapping.observations import Analysis, Observations
from xdvarnet.mapping.protocol import Reconstructor, no_members


class MeanMapOffset(Reconstructor):
    """The mean of earlier maps, plus an offset.

    Parameters
    ----------
    maps : xarray.Dataset
        Earlier complete maps; the method has those of its variables that have time, latitude and
        longitude.
    days : float
        Length of the running basin mean of the observations, which gives the offset.

    Raises
    ------
    InvalidInputError
        If there are no maps, or a variable has no attribute ``units``.

    Examples
    --------
    >>> import xdvarnet
    >>> truth = xdvarnet.datasets.mediterranean()
    >>> method = xdvarnet.methods.MeanMapOffset(truth.sel(time=slice("2005-04-01", "2005-05-31")))
    """

    def __init__(self, maps: xr.Dataset, *, days: float = 31) -> None:
        check_dataset(maps)
        axes = find_axes(maps)
        names = [name for name in maps.data_vars if set(maps[name].dims) == set(axes.dims)]
        if not names or maps.sizes[axes.time] == 0:
            raise InvalidInputError(
                f"there are no maps with the dimensions {axes.dims} in {dict(maps.sizes)}."
            )
        for name in names:
            if "units" not in maps[name].attrs:
                raise InvalidInputError(
                    f"variable {name!r} has no attribute 'units'; set "
                    f"maps[{name!r}].attrs['units'], such as 'm'."
                )
        self.variables: Mapping[str, str] = {str(n): maps[n].attrs["units"] for n in names}
        known = self._known_map(maps[names], axes)
        self.maps, self.days = known.expand_dims({axes.time: maps[axes.time][-1:]}), days
        self.background: Background = MeanMapBackground(known, days=days)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self.variables)})"

    def _known_map(self, maps: xr.Dataset, axes: Axes) -> xr.Dataset:
        return maps.mean(axes.time, keep_attrs=True)

    def solve(
        self,
        observations: Observations,
        *,
        members: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> Analysis:
        """Return the background as it is: an anomaly of zero.

        Raises
        ------
        InvalidInputError
            If members are asked for.
        """
        if members is not None:
            raise no_members(self)
        return Analysis({name: np.zeros(observations.shape, np.float32) for name in self.variables})


class Persistence(MeanMapOffset):
    """The last of earlier maps held in time, plus an offset; parameters as in `MeanMapOffset`."""

    def _known_map(self, maps: xr.Dataset, axes: Axes) -> xr.Dataset:
        return maps.sortby(axes.time).isel({axes.time: -1}, drop=True)
