"""Model files of format 1, in the form of the present one.

In format 1 an ensemble was an argument of the network, which is now inside a `Calibrated`, the
weights of the one solver of a file had names without the place of their network, and series had a
normalizer, a convolutional step and two arguments for the layout of their own.
"""

from typing import Any

import numpy as np

from xdvarnet.errors import ModelFileError
from xdvarnet.grids.series import STATE

SOLVER = "solver."
"""What the names of weights began with."""

LAID_OUT = ("SeriesCNNStep", "StridedUNet", "GibbsPrior")
"""Classes whose layout was said by the arguments ``components`` and ``periodic``."""

CALIBRATION = "calibration"
"""What the names of a calibration's provenance begin with."""


def upgrade(description: dict, arrays: dict[str, np.ndarray]) -> tuple[dict, dict[str, np.ndarray]]:
    """Return a description and arrays of format 1 as those of the present format.

    Raises
    ------
    ModelFileError
        If it describes no model.
    """
    try:
        model = _lay_out(description["model"])
        arguments = dict(model["arguments"])
    except (KeyError, TypeError) as error:
        raise ModelFileError("the file describes no model.") from error
    ensemble = arguments.pop("ensemble", None)
    arguments.pop("lead", None)
    place = "model" if ensemble is None else "model.model"
    renamed = {}
    for name, array in arrays.items():
        if name.startswith(SOLVER):
            renamed[f"{place}.solver/{name.removeprefix(SOLVER)}"] = array
        elif name.startswith("model.ensemble."):
            renamed["model." + name.removeprefix("model.ensemble.")] = array
        else:
            renamed[place + name.removeprefix("model")] = array
    scaling = arguments.get("normalizer")
    if scaling is not None and scaling["class"] == "SeriesNormalizer":
        own = scaling["arguments"]
        of_state = {"std": {STATE: own["std"]}, "mean": {STATE: own["mean"]}}
        scaling = {"class": "Normalizer", "arguments": {**of_state, "labels": own["labels"]}}
        arguments["normalizer"] = scaling
    network = {"class": model["class"], "arguments": arguments}
    if ensemble is not None:
        known = dict(arguments.get("provenance", {}))
        own = {name: known.pop(name) for name in list(known) if name.startswith(CALIBRATION)}
        arguments["provenance"] = known
        calibrated = {"model": network, **ensemble["arguments"], "provenance": own}
        network = {"class": "Calibrated", "arguments": calibrated}
    return {**description, "model": network}, renamed


def _lay_out(item: Any) -> Any:
    """Give what is described here and below a layout, and series the step that maps have."""
    if isinstance(item, list):
        return [_lay_out(each) for each in item]
    if not isinstance(item, dict):
        return item
    item = {key: _lay_out(each) for key, each in item.items()}
    if item.get("class") in LAID_OUT:
        arguments = item["arguments"]
        layout = {name: arguments.pop(name) for name in ("components", "periodic")}
        arguments["layout"] = {"class": "Layout", "arguments": layout}
        if item["class"] == "SeriesCNNStep":
            item = {"class": "CNNStep", "arguments": {"channels": 1, **arguments}}
    return item
