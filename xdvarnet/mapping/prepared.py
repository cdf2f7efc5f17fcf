"""A Dataset and a model, checked and brought together: what is solved, and how it is labelled."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import xarray as xr

from xdvarnet.errors import InvalidInputError, UnknownNameError, warn
from xdvarnet.grids.checks import check_times, units_factor
from xdvarnet.grids.coords import Grid
from xdvarnet.grids.internal import DIMS, hide_unobserved, internal_grid, to_internal
from xdvarnet.grids.labels import field_attributes, model_attributes
from xdvarnet.grids.provenance import encode_axes
from xdvarnet.mapping.anomalies import units_of_input
from xdvarnet.mapping.observations import Fields
from xdvarnet.mapping.protocol import Reconstructor


@dataclass(frozen=True)
class Prepared:
    """What is common to all ways to reconstruct a Dataset.

    Attributes
    ----------
    dataset : xarray.Dataset
        What the user gave.
    model : Reconstructor
        What maps it.
    grid : Grid
        The grid of the Dataset.
    observed : xarray.Dataset
        The variables and errors that the model reads, on the internal grid, and ``sea``.
    """

    dataset: xr.Dataset
    model: Reconstructor
    grid: Grid
    observed: xr.Dataset

    @classmethod
    def of(cls, dataset: xr.Dataset, model: Reconstructor) -> Self:
        """Check a Dataset, and bring it to the internal grid; lazy where it is lazy."""
        dataset = hide_unobserved(dataset, model.variables, model.observed)
        grid = internal_grid(dataset)
        _check_days(grid)
        model.check(grid)
        for name, of in model.error_variables.items():
            if name not in dataset:
                raise UnknownNameError(
                    f"the errors of {of!r} are read from {name!r}, which is not among "
                    f"{sorted(map(str, dataset.data_vars))}. Tracks get it by bin_tracks(grid, "
                    "noise=...); or give the model one noise: model.replace(noise=...)."
                )
        inputs = units_of_input(model.variables, model.error_variables)
        observed = to_internal(dataset, inputs)
        model.background.check_days(observed["time"].values)
        for name, units in inputs.items():
            if "units" not in dataset[name].attrs:
                warn(f"variable {name!r} has no attribute 'units'; {units!r} is assumed.")
        return cls(dataset, model, grid, observed)

    @property
    def is_lazy(self) -> bool:
        """Whether something is dask-backed."""
        parts = [self.observed["sea"], *(self.observed[name] for name in self.model.variables)]
        return any(part.chunks for part in parts)

    def background(self) -> xr.Dataset:
        """Estimate the background of each variable, from all days."""
        return xr.Dataset(
            {
                name: self.model.background.estimate(self._at_sea(name))
                for name in self.model.variables
            }
        )

    def anomalies(self, background: xr.Dataset) -> xr.Dataset:
        """Remove a background; with the errors and the mask of the sea."""
        anomalies = {name: self._at_sea(name) - background[name] for name in self.model.variables}
        return self.observed[["sea", *self.model.error_variables]].assign(anomalies)

    def label(
        self,
        background: xr.Dataset,
        fields: Mapping[str, Fields],
        made: Mapping[str, str | int],
    ) -> xr.Dataset:
        """Add the background, and give the fields the names, order, units and dtype of the input.

        Parameters
        ----------
        background : xarray.Dataset
            Of each variable.
        fields : mapping of str to Fields
            By their kinds, ``"mean"``, ``"std"`` and ``"members"``.
        made : mapping of str to str or int
            Attributes that say how they were made.
        """
        variables = {}
        for name in self.model.variables:
            for kind, of_kind in fields.items():
                if name in of_kind:
                    array = self._field(name, kind, of_kind, background, made)
                    variables[name if kind == "mean" else f"{name}_{kind}"] = array
            if name in fields["std"]:
                variables[name].attrs["ancillary_variables"] = f"{name}_std"
        attributes = model_attributes(self.dataset.attrs, "reconstruct with", self.model, made)
        known = "sea" in self.dataset.coords
        masked = "coordinate sea" if known else "none given; land was mapped as sea"
        maps = xr.Dataset(variables, attrs={**attributes, "xdvarnet_land_mask": masked})
        return encode_axes(maps)

    def _field(
        self,
        name: str,
        kind: str,
        fields: Fields,
        background: xr.Dataset,
        made: Mapping[str, str | int],
    ) -> xr.DataArray:
        like, units = self.dataset[name], self.model.variables[name]
        values = fields[name]
        field = xr.DataArray(values, dims=("member", *DIMS)[-values.ndim :])
        if kind != "std":
            field = field + background[name].reset_coords(drop=True).drop_vars(DIMS)
        field = field.where(self.observed["sea"].drop_vars(DIMS[1:], errors="ignore"))
        field = (field / units_factor(like, units)).astype(like.dtype)
        dims = dict(zip(DIMS, self.grid.axes.dims, strict=True))
        field = self.grid.restore(field.rename(dims), like)
        if field.chunks:
            field = field.chunk(like.variable.chunksizes)
        field.attrs = field_attributes(like, name, kind, units, made.get("xdvarnet_errors"))
        return field

    def _at_sea(self, name: str) -> xr.DataArray:
        return self.observed[name].where(self.observed["sea"])


def _check_days(grid: Grid) -> None:
    assert grid.days is not None and grid.axes.time is not None
    if grid.days.size == 0:
        raise InvalidInputError(
            f"coordinate {grid.axes.time!r} is empty; there is no day to map. Check the period "
            "that was selected."
        )
    check_times(grid.days, grid.axes.time, daily=False)
