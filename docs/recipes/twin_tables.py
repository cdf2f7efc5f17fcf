"""Make the tables and figures of docs/results/twin.md from the results of docs/recipes/twin.py.

    python docs/recipes/twin_tables.py [--folder twin_runs]

Writes docs/results/twin.csv, twin_tables.md and the figures twin_*.png.
"""

import argparse
import json
from pathlib import Path

import cmocean
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from comparison import markdown
from twin import DAYS, EXPERIMENTS, SCORED, SEEDS, interpolation, observe, truths

import xdvarnet

RESULTS = Path("docs/results")
SAMPLES = 4000

NAMES = {
    "mean + offset": "mean + offset",
    "persistence": "persistence of the truth (a)",
    "interpolation": "optimal interpolation, tuned",
    "direct": "direct U-Net",
    "unet-step": "U-Net step, 3 steps",
    "unet-step-oi": "**U-Net step, 3 steps, from the interpolation**",
    "ssh-twin": "**`ssh-twin`: the same, trained for 83 minutes**",
}
TITLES = {
    "nadirs": "Energetic sea, nadirs",
    "swot": "Energetic sea, nadirs and SWOT",
    "quiet": "Quiet sea, nadirs",
}


def read(folder: Path) -> dict[str, dict[str, dict]]:
    """Results by experiment and row, rows in the order of `NAMES`."""
    found: dict[str, dict[str, dict]] = {name: {} for name in EXPERIMENTS}
    for path in folder.glob("*-*.json"):
        result = json.loads(path.read_text())
        if isinstance(result, dict):
            found[result["experiment"]][result["row"]] = result
    order = list(NAMES)
    return {
        name: dict(sorted(rows.items(), key=lambda item: order.index(item[0])))
        for name, rows in found.items()
    }


def weeks(result: dict, variable: str = "ssh") -> np.ndarray:
    """Mean square errors of all weeks of all oceans."""
    return np.concatenate([ocean["weeks"][variable] for ocean in result["oceans"]])


def against(result: dict, other: dict, variable: str = "ssh") -> tuple[float, float, float]:
    """Root mean square error over that of another row, less 1, and its 95 % interval (percent)."""
    ours, theirs = weeks(result, variable), weeks(other, variable)
    draws = np.random.default_rng(0).integers(ours.size, size=(SAMPLES, ours.size))
    ratios = np.sqrt(ours[draws].mean(1) / theirs[draws].mean(1))
    low, high = np.percentile(ratios, [2.5, 97.5])
    best = np.sqrt(ours.mean() / theirs.mean())
    return tuple(100 * (np.array([best, low, high]) - 1))


def mean(result: dict, name: str, factor: float = 1.0, digits: int = 2) -> str:
    """Mean over the oceans; empty where one has none."""
    values = np.array([ocean[name] for ocean in result["oceans"]], float)
    return "" if np.isnan(values).any() else f"{factor * values.mean():.{digits}f}"


def mapping_table(rows: dict[str, dict]) -> pd.DataFrame:
    """Scores of one experiment."""
    lines = []
    for name, result in rows.items():
        if "diverged" in result:
            lines.append({"method": NAMES[name], "RMSE (cm)": "diverged"})
            continue
        change, low, high = against(result, rows["interpolation"])
        own = name in ("interpolation",)
        lines.append(
            {
                "method": NAMES[name],
                "RMSE (cm)": f"{100 * np.sqrt(weeks(result).mean()):.2f}",
                "against OI (%)": "" if own else f"{change:+.1f} [{low:+.1f}, {high:+.1f}]",
                "mu": mean(result, "mu", digits=3),
                "sigma": mean(result, "sigma", digits=3),
                "lambda_x (deg)": mean(result, "lambda_x"),
                "lambda_t (d)": mean(result, "lambda_t", digits=1),
                "gradient RMSE (cm/100 km)": mean(result, "gradient_rmse", 100, 1),
                "parameters": f"{result['parameters']:,}" if "parameters" in result else "",
                "training": result.get("training", "").replace(" of ", ", ").split(" windows")[0],
                "Gflop a map": f"{DAYS * result['operations'] / 1e9:.1f}"
                if "operations" in result
                else "",
                "ms a map": mean(result, "seconds_a_map", 1000, 0),
            }
        )
    return pd.DataFrame(lines).fillna("")


def variables_table(results: dict[str, dict[str, dict]]) -> pd.DataFrame:
    """Errors of every variable as a share of its standard deviation."""
    lines = []
    for experiment in ("nadirs", "sst", "currents"):
        for name in ("direct", "unet-step-oi"):
            result = results[experiment].get(name)
            if result is None:
                continue
            seen = EXPERIMENTS[experiment]
            line = {"observed": seen.system, "method": NAMES[name]}
            for variable in ("ssh", "sst", "u", "v", "ssh_lower"):
                if variable in result["oceans"][0]["std"] and variable in seen.variables:
                    spread = np.mean([ocean["std"][variable] ** 2 for ocean in result["oceans"]])
                    share = np.sqrt(weeks(result, variable).mean() / spread)
                    line[variable] = f"{share:.3f}"
            other = results["nadirs"].get(name)
            if experiment == "sst" and other:
                change, low, high = against(result, other)
                line["ssh against nadirs alone (%)"] = f"{change:+.1f} [{low:+.1f}, {high:+.1f}]"
            lines.append(line)
    return pd.DataFrame(lines).fillna("")


def leads_table(rows: dict[str, dict]) -> pd.DataFrame:
    """Root mean square error (cm) by lead."""
    lines = []
    for result in rows.values():
        by_row: dict[str, dict[str, str]] = {}
        for key, values in result["leads"].items():
            name, lead = key.rsplit(", ", 1)
            named = NAMES[result["row"]] + (", lead 0 held" if name.endswith("held") else "")
            line = by_row.setdefault(named, {})
            line[f"lead {lead}"] = f"{100 * np.sqrt(np.mean(values)):.2f}"
        lines += [{"method": name, **line} for name, line in by_row.items()]
    return pd.DataFrame(lines).drop_duplicates().fillna("")


def plot_leads(rows: dict[str, dict], path: Path) -> None:
    figure, ax = plt.subplots(figsize=(6.4, 4), layout="constrained")
    for row, colour in zip(rows.values(), ("0.4", "tab:orange", "tab:blue"), strict=False):
        for suffix, style in (("", "-o"), (", held", ":s")):
            found = {
                int(key.rsplit(", ", 1)[1]): 100 * np.sqrt(np.mean(values))
                for key, values in row["leads"].items()
                if key.rsplit(", ", 1)[0] == row["row"] + suffix
            }
            label = NAMES[row["row"]] + (", lead 0 held" if suffix else "")
            ax.plot(list(found), list(found.values()), style, color=colour, label=label)
    ax.set(xlabel="lead (days)", ylabel="RMSE of the height (cm)")
    ax.legend(fontsize=8)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def plot_maps(folder: Path, settings: dict, path: Path) -> None:
    """Truth, interpolation and network on one day of the first test ocean, and their errors."""
    experiment = EXPERIMENTS["nadirs"]
    truth = truths(experiment.sea, "test")[0]
    observed = observe(experiment, truth, SEEDS["test"][0])
    models = {
        "optimal interpolation": interpolation(experiment.sea, settings),
        "direct U-Net": xdvarnet.load_model(folder / "nadirs-direct.safetensors"),
        "4DVarNet": xdvarnet.load_model("ssh-twin"),
    }
    maps = {name: xdvarnet.reconstruct(observed, model)["ssh"] for name, model in models.items()}
    day = (SCORED["test"].start + SCORED["test"].stop) // 2
    week = observed["ssh"].isel(time=slice(day - 3, day + 4)).mean("time")
    figure, axes = plt.subplots(2, 4, figsize=(14, 7.2), layout="constrained")
    panels = {"truth": truth["ssh"][day], **{name: found[day] for name, found in maps.items()}}
    errors = {"observations of a week": week}
    errors |= {f"{name}, error": found[day] - truth["ssh"][day] for name, found in maps.items()}
    for line, fields, limit, colours in (
        (axes[0], panels, 75, cmocean.cm.balance),
        (axes[1], errors, 25, cmocean.cm.delta),
    ):
        for ax, (name, field) in zip(line, fields.items(), strict=True):
            raw = name.startswith("observations")
            image = draw(ax, 100 * field, 75 if raw else limit, axes, colours, raw=raw)
            ax.set_title(name)
            if not raw:
                last = image
        figure.colorbar(last, ax=line, label="cm", shrink=0.8)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw(
    ax: plt.Axes, field: xr.DataArray, limit: float, axes: np.ndarray, colours: object, *, raw: bool
) -> object:
    """Draw a field without a colour bar."""
    image = ax.pcolormesh(
        field["lon"],
        field["lat"],
        field,
        vmin=-limit,
        vmax=limit,
        cmap=cmocean.cm.balance if raw else colours,
    )
    ax.set(
        xlabel="longitude" if ax in axes[1] else "", ylabel="latitude" if ax in axes[:, 0] else ""
    )
    return image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("twin_runs"))
    arguments = parser.parse_args()
    folder, results = arguments.folder, read(arguments.folder)
    parts, tables = [], []
    for experiment, title in TITLES.items():
        if "interpolation" in results[experiment]:
            table = mapping_table(results[experiment])
            settings = results[experiment]["interpolation"]["settings"]
            text = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in settings.items())
            parts.append(f"### {title}\n\n{markdown(table.set_index('method'))}\n\nOI: {text} m.")
            tables.append(table.assign(experiment=experiment))
    parts.append(
        "### Several variables\n\nRMSE over the standard deviation of the variable.\n\n"
        + markdown(variables_table(results).set_index("observed"))
    )
    if results["leads"]:
        table = markdown(leads_table(results["leads"]).set_index("method"))
        parts.append(f"### Leads\n\nRMSE of the height (cm), one test ocean.\n\n{table}")
        plot_leads(results["leads"], RESULTS / "twin_leads.png")
    (RESULTS / "twin_tables.md").write_text("\n\n".join(parts) + "\n")
    pd.concat(tables).to_csv(RESULTS / "twin.csv", index=False)
    plot_maps(folder, results["nadirs"]["interpolation"]["settings"], RESULTS / "twin_maps.png")


if __name__ == "__main__":
    main()
