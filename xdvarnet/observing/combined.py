"""Observe each variable with a system of its own: heights by altimeters, temperatures by others."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from xdvarnet._random import RandomState, default_rng
from xdvarnet.errors import InvalidInputError, InvalidTypeError
from xdvarnet.grids.checks import check_dataset, check_kind, check_variable
from xdvarnet.grids.coords import Grid, find_grid
from xdvarnet.grids.provenance import derived
from xdvarnet.observing.observer import Observer, add_sea


@dataclass(frozen=True)
class CombinedSystem:
    """What observes several variables, each with a system of its own.

    Parameters
    ----------
    systems : mapping of str to Observer
        The observing system of each variable, such as `ObservingSystem` or `CloudySST`.

    Raises
    ------
    InvalidTypeError
        If `systems` is no mapping, or holds something that does not observe.
    InvalidInputError
        If it is empty.

    Examples
    --------
    >>> from xdvarnet.datasets import mediterranean
    >>> from xdvarnet.observing.clouds import CloudySST
    >>> from xdvarnet.observing.system import ObservingSystem
    >>> system = CombinedSystem(
    ...     {
    ...         "ssh": ObservingSystem(["jason1", "envisat"], noise=0.02),
    ...         "sst": CloudySST(noise=0.3, cover=0.6),
    ...     }
    ... )
    >>> truth = mediterranean().isel(time=slice(0, 5))
    >>> truth["sst"] = (15 + 10 * truth["ssh"]).assign_attrs(units="degC")
    >>> observations = system.observe(truth, rng=0)
    >>> list(observations)
    ['ssh', 'sst']
    """

    systems: Mapping[str, Observer]

    def __post_init__(self) -> None:
        if not isinstance(self.systems, Mapping):
            raise InvalidTypeError(
                f"systems={self.systems!r} is no mapping; give the system of each variable, such "
                "as {'ssh': ObservingSystem(...), 'sst': CloudySST(...)}."
            )
        if not self.systems:
            raise InvalidInputError("systems is empty; give the system of at least one variable.")
        for name, system in self.systems.items():
            wanted = "an observing system, such as ObservingSystem(...)"
            check_kind(isinstance(system, Observer), f"systems[{name!r}]", system, wanted)
        object.__setattr__(self, "systems", dict(self.systems))

    def observe(self, dataset: xr.Dataset, *, rng: RandomState = None) -> xr.Dataset:
        """Observe each variable with its system.

        Parameters
        ----------
        dataset : xarray.Dataset
            With the variables of `systems` on one grid and the same days; see the systems.
        rng : int, numpy.random.SeedSequence, numpy.random.Generator, optional
            Source of what is random. Each variable has a stream of its own, which its name tells
            apart: neither the other variables nor their order change what is drawn for it. Two
            calls with one seed are equal.

        Returns
        -------
        xarray.Dataset
            The variables of `systems`, as they observe them; the others, which nothing observes,
            are left out. The coordinate ``sea``, where there is not one already, is True where any
            of them is finite on any day. The attributes ``observing_...`` of each system have the
            name of the variable at their end, as ``observing_noise_ssh``; ``history`` has one more
            line.

        Raises
        ------
        InvalidTypeError
            If `dataset` is no Dataset.
        UnknownNameError
            If a variable is missing.
        InvalidInputError
            If a variable lacks time, latitude or longitude, or has further dimensions; if the
            variables were merged from several grids; or as the systems raise it.
        """
        check_dataset(dataset)
        grid = find_grid(dataset)
        for name in self.systems:
            array = check_variable(dataset, name)
            if set(array.dims) != set(grid.axes.dims):
                raise InvalidInputError(
                    f"variable {name!r} has dimensions {array.dims}; it must have "
                    f"{grid.axes.dims}, in any order."
                )
        names = list(self.systems)
        _check_one_grid(dataset[names], grid)
        truth = add_sea(dataset[names], names, grid)
        observed = truth.copy()
        observed.attrs = derived(dataset.attrs, f"observe with {self!r}")
        entropy = int(default_rng(rng).integers(2**63))
        for name, system in self.systems.items():
            stream = np.random.default_rng([entropy, *name.encode()])
            alone = truth[[name]]
            alone.attrs = {}
            part = system.observe(alone, rng=stream)
            observed[name] = part[name]
            observed.attrs |= {
                f"{key}_{name}": value
                for key, value in part.attrs.items()
                if key not in ("history", "Conventions")
            }
        return observed


def _check_one_grid(dataset: xr.Dataset, grid: Grid) -> None:
    """Refuse variables of several grids: of most rows or columns that have values, one has none.

    `xarray.merge` keeps the rows of all grids. Lazy variables are not looked into.
    """
    for axis in grid.axes.dims[1:]:
        filled = {
            name: np.flatnonzero(array.notnull().any([dim for dim in array.dims if dim != axis]))
            for name, array in dataset.data_vars.items()
            if array.chunks is None
        }
        rows = np.unique(np.concatenate([[], *filled.values()])).astype(int)
        for name, own in filled.items():
            within = rows[(rows > own.min(initial=rows.size)) & (rows < own.max(initial=0))]
            empty = np.setdiff1d(within, own)
            if 2 * empty.size > within.size:
                raise InvalidInputError(
                    f"variable {name!r} has no value at {empty.size} of the {within.size} values "
                    f"of {axis!r} in its range where a variable has one, the first "
                    f"{dataset[axis].values[empty[0]]:g}: variables of several grids were merged. "
                    "Bring them to one grid first: "
                    "xarray.merge([ssh, sst.dvarnet.regrid(ssh)], join='exact')."
                )
