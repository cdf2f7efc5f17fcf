"""Make the tables and figures of docs/results/lorenz.md from the results of the other two recipes.

    python docs/recipes/lorenz_tables.py [--folder lorenz_runs]

Writes docs/results/lorenz.csv, lorenz_tables.md and the figures lorenz_*.png.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import cmocean
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
import xarray as xr
from lorenz import ALL, L63, L96, ROWS, Data, System
from matplotlib.ticker import MaxNLocator

import xdvarnet
from xdvarnet.networks.series_inversion import SeriesInversion

RESULTS = Path("docs/results")
NAMES = {"rk4": "RK4", "gibbs": "GENN", "quadratic": "learned quadratic model"}
STEPS = {"cnn": "CNN", "lstm": "LSTM", "network": "U-Net"}
PAPER = {
    "rk4-cnn-unsupervised": (3.52, 1.00),
    "rk4-lstm-unsupervised": (4.52, 1.32),
    "gibbs-cnn-unsupervised": (7.05, None),
    "gibbs-lstm-unsupervised": (7.05, None),
    "rk4-cnn-supervised": (2.82, 0.82),
    "rk4-lstm-supervised": (4.00, 0.97),
    "gibbs-cnn-supervised": (1.34, 0.49),
    "gibbs-lstm-supervised": (1.62, 0.38),
}
OTHERS = {
    "shipped": "4DVarNet of the package, U-Net step, supervised",
    "direct": "direct network, one pass",
    "dinae": "fixed point (DinAE), GENN",
    "dan": "recurrent filter (DAN)",
    "amortised": "amortised 4DVar, true model, no truth",
    "climatology": "mean state",
    "linear-interpolation": "linear interpolation in time",
    "oi": "optimal interpolation",
    "3dvar": "3DVar, true model",
    "enkf": "EnKF, true model",
    "etkf": "ETKF, true model",
    "hybrid": "hybrid EnVar, true model",
    "enks": "ensemble Kalman smoother, true model",
    "anda": "analogs in the smoother (AnDA)",
    "adam": "weak 4DVar cost, 1,000 steps of Adam, true model",
    "strong-4dvar": "strong-constraint 4DVar, true model",
    "weak-4dvar": "weak-constraint 4DVar, true model",
    "weak-4dvar-learned-model": "weak-constraint 4DVar, learned quadratic model",
    "weak-4dvar-from-network": "the same from the trained network",
    "weak-4dvar-learned-model-from-network": "the same, learned quadratic model, from the network",
}


def title(row: str) -> str:
    """A row in words."""
    if row in OTHERS:
        return OTHERS[row]
    prior, step, learning = row.split("-")
    return f"4DVarNet, {NAMES[prior]} prior, {STEPS[step]} step, {learning}"


def read(folder: Path) -> pd.DataFrame:
    """All results, one line each."""
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    return pd.DataFrame(found).drop(columns=["training"], errors="ignore")


def number(values: pd.Series, digits: int = 2) -> str:
    """Mean and, of several seeds, standard deviation."""
    values = values.dropna()
    if values.empty:
        return ""
    mean = f"{values.mean():.{digits}f}" if values.mean() >= 10**-digits else f"{values.mean():.1e}"
    return mean if len(values) < 2 else f"{mean} ± {values.std():.{digits}f}"


def table(results: pd.DataFrame, system: System) -> str:
    """The rows of one system, in markdown."""
    column = ("lorenz63", "lorenz96", "lorenz63-all").index(system.name)
    lines = [
        "| method | R | paper | R without edges | 4DVar-score | ODE-score | parameters "
        "| iterations | training (s) | ms a window | windows | seeds |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    own = results[results["system"] == system.name]
    for row in dict.fromkeys([*ROWS, *OTHERS]):
        part = own[own["row"] == row]
        if part.empty:
            continue
        paper = (*PAPER.get(row, (None, None)), None)[column]
        digits = 3 if part["R"].mean() < 1 else 2
        score = number(part["R"], digits)
        if len(part) < 2:
            score += f" ({part['R_spread'].iloc[0]:.{digits}f})"
        cells = [
            title(row),
            score,
            "" if paper is None else f"{paper:.2f}",
            number(part["R_interior"], digits),
            number(part["fourdvar"], 3),
            number(part.get("ode", pd.Series(dtype=float)), 4),
            *(
                "" if part[name].isna().all() else f"{part[name].iloc[0]:,.0f}"
                for name in ("parameters", "iterations")
            ),
            number(part["training_seconds"], 0),
            number(1e3 * part["seconds_a_window"], 1),
            f"{part['windows'].iloc[0]:,.0f}",
            f"{len(part)}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def load(folder: Path, system: System, row: str) -> SeriesInversion | None:
    """The trained model of a row with the first seed, if there is one."""
    path = folder / f"{system.name}-{row}-0.safetensors"
    return xdvarnet.load_model(path) if path.exists() else None


def iterates(model: SeriesInversion, observed: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """States of all iterations, from the first guess on, and their variational costs."""
    state, data, context = model.inputs(observed)
    with torch.no_grad():
        states = [state, *model.solver.iterates(state, data, context)]
        costs = [model.solver.cost(each, data).mean().item() for each in states]
    values = np.stack([each[:, 0].numpy() for each in states])
    return model.normalizer.restore("state", values), np.array(costs)


def draw_pathways(folder: Path, system: System, data: Data) -> None:
    """Error and cost along the iterations, and the iterates of one window."""
    part = {"sample": slice(200 if system is L63 else 32)}
    truth, observed = data.truth["test"].isel(part), data.observed["test"].isel(part)
    figure, axes = plt.subplots(1, 3, figsize=(15, 5), layout="constrained")
    colours = plt.get_cmap("tab20").colors
    for row, colour in zip([*ROWS, "shipped"], [*colours[: len(ROWS)], "k"], strict=True):
        model = load(folder, system, row)
        if model is None or not hasattr(model.solver, "iterates"):
            continue
        states, costs = iterates(model, observed)
        errors = ((states - truth["state"].values) ** 2).mean((1, 2, 3))
        for ax, values in zip(axes, (errors, costs / costs[0]), strict=False):
            label = title(row).replace("4DVarNet, ", "")
            style = "--" if row.endswith("unsupervised") else "-"
            ax.semilogy(values, style, marker=".", label=label, color=colour)
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        if row == "shipped":
            shown = states
    axes[0].set(xlabel="iteration", ylabel="mean squared error, R", title="error")
    axes[1].set(xlabel="iteration", ylabel="cost over that of the first guess", title="own cost")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    component = 1 if system.name == "lorenz63" else 0
    colours = cmocean.cm.matter(np.linspace(0.1, 0.9, len(shown)))
    times = truth["time"]
    for k, (state, colour) in enumerate(zip(shown, colours, strict=True)):
        axes[2].plot(times, state[0, :, component], color=colour, label=f"iterate {k}", lw=1)
    axes[2].plot(times, truth["state"][0, :, component], "k--", lw=1.2, label="truth")
    label = truth["component"].values[component]
    axes[2].set(xlabel="model time", ylabel=f"component {label}", title="iterates of one window")
    axes[2].legend(fontsize=7)
    figure.savefig(RESULTS / f"{system.name}_pathways.png", dpi=110)


def draw_errors(folder: Path, system: System, data: Data) -> None:
    """Densities of the error, and the error at each time of the window."""
    figure, axes = plt.subplots(1, 2, figsize=(12, 4.2), layout="constrained")
    part = {"sample": slice(1000 if system is L63 else 100)}
    truth, observed = data.truth["test"].isel(part), data.observed["test"].isel(part)
    for row in ("shipped", "direct", "gibbs-cnn-supervised", "rk4-cnn-supervised", "amortised"):
        model = load(folder, system, row)
        if model is None:
            continue
        error = (xdvarnet.reconstruct(observed, model) - truth)["state"].values
        edges = np.linspace(-6, 6, 121)
        density, _ = np.histogram(error, edges, density=True)
        axes[0].semilogy((edges[1:] + edges[:-1]) / 2, density, label=title(row))
        axes[1].plot(truth["time"], (error**2).mean((0, 2)), label=title(row))
    axes[0].set(xlabel="error", ylabel="density", title="errors of all components", ylim=(1e-5, 5))
    axes[1].set(xlabel="model time", ylabel="mean squared error", title="within the window")
    axes[1].set_ylim(0, None)
    axes[0].legend(fontsize=7)
    figure.savefig(RESULTS / f"{system.name}_errors.png", dpi=110)


def draw_trajectories(folder: Path, data: Data) -> None:
    """Three windows of Lorenz-63."""
    model = load(folder, L63, "shipped")
    part = {"sample": slice(3)}
    truth, observed = data.truth["test"].isel(part), data.observed["test"].isel(part)
    found = xdvarnet.reconstruct(observed, model)
    figure, axes = plt.subplots(3, 3, figsize=(13, 7), sharex=True, layout="constrained")
    for row, component in zip(axes, "xyz", strict=True):
        for sample, ax in enumerate(row):
            pick = {"sample": sample}
            own = {"component": component}
            known, seen = truth.isel(pick).sel(own), observed.isel(pick).sel(own)
            ax.plot(known["time"], known["state"], "k", lw=1.5, label="truth")
            ax.plot(known["time"], found.isel(pick).sel(own)["state"], "C1", label="4DVarNet")
            ax.plot(seen["time"], seen["state"], "C0.", label="observations")
            ax.set_ylabel(component)
    for ax in axes[-1]:
        ax.set_xlabel("model time")
    axes[0, 0].legend(fontsize=8)
    figure.savefig(RESULTS / "lorenz63_trajectories.png", dpi=110)


def draw_maps(folder: Path, data: Data) -> None:
    """One window of Lorenz-96: truth, observations, analysis, error."""
    model = load(folder, L96, "shipped")
    part = {"sample": slice(1)}
    truth, observed = data.truth["test"].isel(part), data.observed["test"].isel(part)
    error = xdvarnet.reconstruct(observed, model) - truth
    fields = {
        "truth": truth,
        "observations": observed,
        "4DVarNet": truth + error,
        "error": error,
    }
    figure, axes = plt.subplots(4, 1, figsize=(11, 9), sharex=True, layout="constrained")
    for ax, (name, field) in zip(axes, fields.items(), strict=True):
        limit = 4 if name == "error" else 12
        mesh = ax.pcolormesh(
            field["time"],
            field["component"],
            field["state"][0].T,
            cmap=cmocean.cm.balance,
            vmin=-limit,
            vmax=limit,
        )
        ax.set(ylabel="component", title=name)
        figure.colorbar(mesh, ax=ax, extend="both")
    axes[-1].set_xlabel("model time")
    figure.savefig(RESULTS / "lorenz96_maps.png", dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("lorenz_runs"))
    folder = parser.parse_args().folder
    results = read(folder)
    results.round(6).to_csv(RESULTS / "lorenz.csv", index=False)
    text = "".join(
        f"## {name}\n\n{table(results, system)}\n\n"
        for name, system in (
            ("Lorenz-63", L63),
            ("Lorenz-96", L96),
            ("Lorenz-63, all components observed", ALL),
        )
        if system.name in set(results["system"])
    )
    (RESULTS / "lorenz_tables.md").write_text(text)
    for system in (L63, L96):
        if load(folder, system, "shipped") is None:
            continue
        data = Data.draw(replace(system, samples=system.samples | {"validation": 2}), 0)
        draw_pathways(folder, system, data)
        draw_errors(folder, system, data)
        draw_trajectories(folder, data) if system is L63 else draw_maps(folder, data)


if __name__ == "__main__":
    main()
