"""How much a better covariance could gain on the real tracks, if it were known.

Usage: python docs/recipes/real_tracks_bound.py TRACKS.nc

Optimal interpolation at the points themselves, with all observations at once and no grid, for
Gaussian and Matérn covariances. The settings are chosen on the withheld tracks: what comes out is
no score of a method, but a bound on what stationary covariances of these kinds can reach.
"""

import sys
from itertools import product

import numpy as np
import xarray as xr
from scipy import linalg

import xdvarnet  # noqa: F401  registers .dvarnet

EARTH_RADIUS = 6371.0  # km
SMOOTHING = 150.0  # km, of the background, as ObservedBackground
STD = 0.045  # m
NOISES = (0.015, 0.02, 0.025, 0.03)  # m
LENGTHS = {"gaussian": (80, 100, 130), "matern 3/2": (100, 150, 200)}  # km
TIMES = (15, 20, 30)  # days


def covariance(kind: str, distance: np.ndarray, lag: np.ndarray, length: float, time: float):
    """Return the covariance (m2) at distances (km) and lags (days)."""
    if kind == "gaussian":
        return STD**2 * np.exp(-((distance / length) ** 2) - (lag / time) ** 2)
    scaled = np.sqrt(3) * distance / length
    return STD**2 * (1 + scaled) * np.exp(-scaled - (lag / time) ** 2)


def main() -> None:
    """Print the lowest RMSE along withheld tracks for each kind of covariance."""
    with xr.open_dataset(sys.argv[1]) as file:
        tracks = file.load().dvarnet.harmonise()
    longitude, latitude = (np.radians(tracks[name].values) for name in ("lon", "lat"))
    on_sphere = [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude)]
    position = EARTH_RADIUS * np.stack([*on_sphere, np.sin(latitude)], axis=1)
    days = tracks["time"].values.astype("datetime64[ns]").astype(float) / 86400e9
    height, mission = tracks["ssh"].values, tracks["mission"].values
    squares = (position**2).sum(1)
    distance2 = squares[:, None] + squares - 2 * position @ position.T
    distance, lag = np.sqrt(np.maximum(distance2, 0)), np.abs(days[:, None] - days)
    near = np.exp(-distance2 / (2 * SMOOTHING**2))
    for kind, lengths in LENGTHS.items():
        best = {}
        for length, time in product(lengths, TIMES):
            whole = covariance(kind, distance, lag, length, time)
            errors = {noise: [] for noise in NOISES}
            for withheld in np.unique(mission):
                seen, hidden = mission != withheld, mission == withheld
                background = near[:, seen] @ height[seen] / near[:, seen].sum(1)
                anomaly = height - background
                among, onto = whole[np.ix_(seen, seen)], whole[np.ix_(hidden, seen)]
                for noise in NOISES:
                    noisy = among + noise**2 * np.eye(len(among))
                    weights = linalg.solve(noisy, anomaly[seen], assume_a="pos")
                    errors[noise].append(onto @ weights - anomaly[hidden])
            for noise, each in errors.items():
                rmse = 100 * np.sqrt(np.mean(np.concatenate(each) ** 2))
                best[length, time, noise] = rmse
        setting = min(best, key=best.get)
        print(f"{kind}: {best[setting]:.3f} cm, length, time, noise = {setting}", flush=True)


if __name__ == "__main__":
    main()
