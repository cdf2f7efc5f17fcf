"""Classes of earlier versions that a model file of any format may name, as those of today."""

from typing import Any

from xdvarnet.errors import ModelFileError

RENAMED = {"DirectNetwork": "DirectInversion", "SeriesUNet": "StridedUNet"}
"""What classes are called now."""

GONE = {"SeriesLSTMStep": "ConvLSTMStep(1, kernel=(3, 1), layout=..., bound=1.0)"}
"""Classes whose weights suit no class of today, and what to train in their place."""


def rename(description: dict) -> dict:
    """Return the description of a file with its model under the names of today.

    Raises
    ------
    ModelFileError
        If it describes no model, or one with a class that is gone.
    """
    try:
        return {**description, "model": _rename(description["model"])}
    except (KeyError, TypeError, RecursionError) as error:
        raise ModelFileError("the file describes no model.") from error


def _rename(item: Any) -> Any:
    if isinstance(item, list):
        return [_rename(each) for each in item]
    if not isinstance(item, dict):
        return item
    item = {key: _rename(each) for key, each in item.items()}
    if set(item) != {"class", "arguments"}:
        return item
    name, arguments = item["class"], item["arguments"]
    if name in GONE:
        raise ModelFileError(
            f"the model needs the class {name!r}, which this version of xdvarnet does not have; "
            f"train it again with {GONE[name]}, or install the version that wrote it."
        )
    if name == "SeriesUNet":  # its cells were of one component each
        patch, levels = [arguments["patch"], 1], [[times, 1] for times in arguments["downscale"]]
        arguments = {**arguments, "patch": patch, "downscale": levels}
    return {"class": RENAMED.get(name, name), "arguments": arguments}
