"""How far the gaps of gridded observations reach from what is observed on their day."""

import numpy as np
from scipy.spatial import KDTree

from xdvarnet.mapping.observations import Observations
from xdvarnet.methods.optimal_interpolation.scaling import positions


def gap_distances(
    observations: Observations, variable: str, count: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw cells at sea that are not observed, and return how far the nearest one that is lies.

    Parameters
    ----------
    observations : Observations
        Of maps.
    variable : str
        What is observed.
    count : int
        How many cells.
    rng : numpy.random.Generator
        Draws them.

    Returns
    -------
    numpy.ndarray
        Distances in km to observations of the same day, shape (count,); infinite on days without
        any, and all where there is no gap.
    """
    seen = np.isfinite(observations.values[variable]) & observations.sea
    gaps = np.flatnonzero(~seen & observations.sea)
    distances = np.full(count, np.inf)
    if not gaps.size:
        return distances
    days, cells = np.divmod(rng.choice(gaps, count), observations.sea.size)
    place = positions(*observations.place)
    for day in np.unique(days):
        observed, here = place[seen[day].ravel()], days == day
        if len(observed):
            distances[here], _ = KDTree(observed).query(place[cells[here]])
    return distances
