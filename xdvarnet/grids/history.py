"""The CF attribute ``history``: what made a Dataset."""

import importlib.metadata
from collections.abc import Mapping


def add_history(attributes: Mapping, action: str) -> dict:
    """Return the attributes of a Dataset with a line about `action` at the end of ``history``.

    The line has no date, so that two equal calls give equal Datasets.
    """
    line = f"xdvarnet {importlib.metadata.version('xdvarnet')}: {action}"
    before = attributes.get("history")
    return {**attributes, "history": f"{before}\n{line}" if before else line}
