"""Amortised and iterative 4DVar, and a 4DVarNet, where the experiment is not the nominal one.

    python docs/recipes/lorenz_amortised.py [--folder lorenz_runs]

Needs the rows "shipped" and "amortised" of docs/recipes/lorenz.py for Lorenz-63 and seed 0. Varies
the noise and the sampling of the test windows (networks are not trained again), and the parameter
rho of the model that is assimilated with; then rho is estimated together with the state. Writes
docs/results/lorenz_sensitivity.csv and .md.
"""

import argparse
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr
from lorenz import L63, ROWS, Data, train

import xdvarnet
from xdvarnet.datasets import observe_series
from xdvarnet.dynamics.augmented import Augmented
from xdvarnet.dynamics.lorenz import Lorenz63
from xdvarnet.methods.climatology import Climatology
from xdvarnet.methods.ensemble_kalman import EnKF, EnsembleKalmanSmoother
from xdvarnet.methods.variational import StrongFourDVar

RESULTS = Path("docs/results")
WRONG = 26.0
WINDOWS = 128


def error(found: xr.Dataset, truth: xr.Dataset) -> tuple[float, float]:
    """R and its standard error over windows."""
    windows = ((found["state"] - truth["state"]) ** 2).mean(("time", "component")).values
    return windows.mean(), windows.std() / windows.size**0.5


def vary_observations(folder: Path, data: Data, truth: xr.Dataset) -> list[dict]:
    """Noise and sampling that the networks were not trained for."""
    climate = Climatology.from_series(data.truth["training"])
    lines = []
    for variance, every in ((2, 8), (0.5, 8), (8, 8), (2, 4), (2, 16)):
        noise = variance**0.5
        observed = observe_series(truth, every=every, components=["x"], noise=noise, rng=1)
        known = {"noise": noise, "climatology": climate}
        methods = {
            "strong 4DVar": StrongFourDVar(Lorenz63(), **known),
            "ensemble Kalman smoother": EnsembleKalmanSmoother(
                EnKF(Lorenz63(), **known, members=50)
            ),
            "amortised 4DVar": xdvarnet.load_model(folder / "lorenz63-amortised-0.safetensors"),
            "4DVarNet": xdvarnet.load_model(folder / "lorenz63-shipped-0.safetensors"),
        }
        for name, method in methods.items():
            mean, spread = error(xdvarnet.reconstruct(observed, method, rng=0), truth)
            setting = f"noise variance {variance:g}, every {every} steps"
            lines.append({"setting": setting, "method": name, "R": mean, "spread": spread})
            print(lines[-1], flush=True)
    return lines


def vary_model(data: Data, truth: xr.Dataset, observed: xr.Dataset, folder: Path) -> list[dict]:
    """A wrong parameter, kept or estimated."""
    climate = Climatology.from_series(data.truth["training"])
    lines = []
    for rho in (WRONG, 27.0, 28.0):
        method = StrongFourDVar(Lorenz63(rho=rho), noise=2**0.5, climatology=climate)
        mean, spread = error(xdvarnet.reconstruct(observed, method), truth)
        setting = f"model with rho = {rho:g}"
        lines.append({"setting": setting, "method": "strong 4DVar", "R": mean, "spread": spread})
        print(lines[-1], flush=True)

    covariance = np.diag([0.0, 0, 0, 1e-6, 4.0, 1e-6])
    covariance[:3, :3] = climate.covariance
    background = Climatology(np.array([*climate.mean, 10.0, WRONG, 8 / 3]), covariance)
    joint = StrongFourDVar(
        Augmented(Lorenz63(), "coefficients"), noise=2**0.5, climatology=background
    )
    found = xdvarnet.reconstruct(
        observed.reindex(component=["x", "y", "z", "sigma", "rho", "beta"]), joint
    )
    mean, spread = error(found.sel(component=["x", "y", "z"]), truth)
    rho = found["state"].sel(component="rho").isel(time=0).values
    lines.append(
        {
            "setting": f"rho estimated, from {WRONG:g} ± 2",
            "method": "strong 4DVar, each window",
            "R": mean,
            "spread": spread,
            "rho": f"{rho.mean():.2f} ± {rho.std():.2f}",
        }
    )
    print(lines[-1], flush=True)

    for learned in (False, True):
        system = replace(
            L63,
            samples={"training": 3000, "validation": 200, "test": 32},
            dynamics=lambda learned=learned: Lorenz63(rho=WRONG, learned=learned),
        )
        model = train(
            system, ROWS["amortised"], data, 0, folder / f"amortised-wrong-{learned}.checkpoint"
        )
        mean, spread = error(xdvarnet.reconstruct(observed, model), truth)
        line = {
            "setting": f"rho estimated, from {WRONG:g}"
            if learned
            else f"model with rho = {WRONG:g}",
            "method": "amortised 4DVar, one for all windows" if learned else "amortised 4DVar",
            "R": mean,
            "spread": spread,
        }
        if learned:
            sigma, rho, beta = model.solver.dynamics.dynamics.coefficients.tolist()
            line["rho"] = f"{rho:.2f} (sigma {sigma:.2f}, beta {beta:.2f})"
        lines.append(line)
        print(lines[-1], flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("lorenz_runs"))
    folder = parser.parse_args().folder
    warnings.simplefilter("ignore", xdvarnet.XdvarnetWarning)  # windows that did not converge
    torch.manual_seed(0)
    data = Data.draw(L63, 0)
    truth = data.truth["test"].isel(sample=slice(WINDOWS))
    observed = data.observed["test"].isel(sample=slice(WINDOWS))
    few = {part: known.isel(sample=slice(3000)) for part, known in data.truth.items()}
    lines = vary_observations(folder, data, truth)
    lines += vary_model(replace(data, truth=few), truth, observed, folder)
    table = pd.DataFrame(lines)
    table.to_csv(RESULTS / "lorenz_sensitivity.csv", index=False)
    rows = ["| setting | method | R | rho |", "|---|---|---|---|"]
    for line in table.fillna("").to_dict("records"):
        score = f"{line['R']:.2f} ± {line['spread']:.2f}"
        rows.append(f"| {line['setting']} | {line['method']} | {score} | {line['rho']} |")
    (RESULTS / "lorenz_sensitivity.md").write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
