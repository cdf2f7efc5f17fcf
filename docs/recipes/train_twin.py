"""Train the model of the twin ocean that comes with the package: the best row of the table, longer.

    python docs/recipes/train_twin.py FILE [--seconds 5000]

It is the row "unet-step-oi" of docs/recipes/twin.py, on the same oceans and their mirror
images, at 10 km.
"""

import argparse
import logging
from pathlib import Path

from twin import EXPERIMENTS, SEEDS, train

import xdvarnet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file")
    parser.add_argument("--seconds", type=float, default=5000, help="processor time of the steps")
    parser.add_argument("--epochs", type=int, default=36)
    parser.add_argument("--folder", type=Path, default=Path("twin_runs"))
    arguments = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    experiment = EXPERIMENTS["ablation"]
    checkpoint = arguments.folder / "ssh-twin.checkpoint"
    model = train(
        "unet-step-oi",
        experiment,
        arguments.seconds,
        checkpoint,
        epochs=arguments.epochs,
        mirrored=True,
    )
    seeds = {part: ", ".join(map(str, numbers)) for part, numbers in SEEDS.items()}
    sea = f"twin_ocean({experiment.sea!r}), averaged to 10 km, seeds"
    model.provenance["training data"] = f"{sea} {seeds['training']}, 120 days each, and mirrored"
    model.provenance["validation data"] = f"{sea} {seeds['validation']}"
    model.provenance["recipe"] = "docs/recipes/train_twin.py"
    model.provenance["citation"] = "Fablet et al. 2021, doi 10.1029/2021MS002572"
    xdvarnet.save_model(model.with_options(precision="float32"), arguments.file)


if __name__ == "__main__":
    main()
