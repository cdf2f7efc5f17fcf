"""Samples of the prior of a Gaussian field."""

import numpy as np
import xarray as xr

from xdvarnet._random import RandomState, default_rng
from xdvarnet.grids.checks import check_counts, check_dataset
from xdvarnet.grids.internal import DIMS, to_internal
from xdvarnet.grids.labels import model_attributes
from xdvarnet.methods.gaussian_field.observations import empty_map, label_map
from xdvarnet.methods.gaussian_field.process import GaussianField, sample_costs


class SampledField(GaussianField):
    """A Gaussian field of which members are drawn."""

    def sample(self, grid: xr.Dataset, *, members: int, rng: RandomState = None) -> xr.Dataset:
        """Draw members of the prior.

        Parameters
        ----------
        grid : xarray.Dataset
            Days, latitude and longitude, and the coordinate ``sea`` where there is one; coordinates
            suffice.
        members : int
            How many.
        rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
            Source of the members; two calls with one seed are equal.

        Returns
        -------
        xarray.Dataset
            The variable along ``member``, time, latitude and longitude, NaN on land.

        Raises
        ------
        InvalidTypeError
            If `grid` is no Dataset.
        InvalidInputError
            If an axis is missing, the days are not one apart, there is no sea, or it takes more
            memory than it may.

        Warns
        -----
        XdvarnetWarning
            If it takes more than 2 GB and ``memory`` sets no limit.
        """
        check_dataset(grid)
        check_counts({"members": members})
        units = {"units": self.variables[self.variable]}
        template = empty_map(grid, self.variable, units)
        known = to_internal(template, self.variables)
        days, latitude, longitude = (known[dim].values for dim in DIMS)
        costs = sample_costs(members)
        domain = self._domain(days, latitude, longitude, known["sea"].values, costs)
        drawn = domain.sample(members, default_rng(rng))
        drawn[:, :, ~known["sea"].values] = np.nan
        array = label_map(drawn, template[self.variable], self.variable)
        result = array.to_dataset(name=self.variable)
        result.attrs = model_attributes(grid.attrs, "sample of", self, {})
        return result
