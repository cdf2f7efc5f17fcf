"""Windows that a network sees through `xdvarnet.Scaled`, of a twin ocean along tracks."""

from dataclasses import replace

import numpy as np
from any_sea_data import LEAST_SEA, WINDOW
from scaled import NOISES, tracks_of, truth_of
from scipy.interpolate import RegularGridInterpolator

import xdvarnet
from xdvarnet.grids.coords import days_since_epoch
from xdvarnet.mapping.background import NoBackground
from xdvarnet.mapping.observations import Observations
from xdvarnet.networks import Scaled
from xdvarnet.training.draws import Draw

TWINS = {"gulf-stream": 10, "northeast-atlantic": 10}
"""Seeds of the twin oceans that a training is judged on; those of scaled.py are others."""

NUMBER = 18
"""Windows of a sea."""


def windows(sea: str, network: xdvarnet.DVarNet) -> list[Draw]:
    """Return random windows of a sea of scaled.py, with the truth, in units of the network."""
    seed = TWINS[sea]
    maps = truth_of(sea, seed)
    tracks, grid = tracks_of(maps, NOISES[sea], seed), maps.drop_vars("ssh").isel(time=0)
    oi = xdvarnet.OptimalInterpolation.fit(
        tracks, grid, covariance="gaussian", background=NoBackground()
    )
    values = tracks[["ssh"]].dvarnet.bin_tracks(grid, time=maps["time"])["ssh"].values
    days, latitude, longitude = days_since_epoch(maps["time"]), maps["lat"], maps["lon"]
    axes = days, latitude.values, longitude.values
    everywhere = np.ones(values.shape[1:], bool)
    work, unit, domain = Scaled(network, oi).standardize(
        Observations({"ssh": values}, *axes, everywhere)
    )
    places = np.stack(np.meshgrid(work.days, work.latitude, work.longitude, indexing="ij"), -1)
    truth = RegularGridInterpolator(axes, maps["ssh"].values.astype(float), bounds_error=False)
    fields = (truth(places) / unit).astype(np.float32)
    rng, found = np.random.default_rng(seed), []
    while len(found) < NUMBER:
        first = rng.integers(np.array(work.shape) - WINDOW.sizes + 1)
        box = tuple(map(slice, first, first + WINDOW.sizes))
        if np.isfinite(fields[box]).mean() > LEAST_SEA:
            found.append(Draw(_part(domain, box), {"ssh": fields[box]}))
    return found


def _part(domain: Observations, box: tuple[slice, ...]) -> Observations:
    """Return a window of observations with a first guess."""
    guess = domain.first_guess
    assert guess is not None
    latitude, longitude = domain.place

    def part(fields: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: array[box] for name, array in fields.items()}

    return replace(
        domain,
        wanted=None,
        offset=0,
        record=None,
        values=part(dict(domain.values)),
        days=domain.days[box[0]],
        latitude=latitude[box[1]],
        longitude=longitude[box[2]],
        sea=domain.sea[box[1:]],
        first_guess=replace(guess, mean=part(dict(guess.mean)), std=part(dict(guess.std))),
    )
