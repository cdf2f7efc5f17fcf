"""What a result says of itself: who made it, from what, and nothing of how its input was kept."""

from collections.abc import Mapping

import xarray as xr

from xdvarnet.grids.history import add_history
from xdvarnet.grids.values import lasting_attributes

CONVENTIONS = "CF-1.8"
"""That results follow."""

_OF_ANOTHER = {
    *("flag_values", "flag_meanings", "flag_masks", "least_significant_digit", "dtype"),
    *("cell_methods", "cell_measures", "ancillary_variables", "coordinates", "grid_mapping"),
    *("source", "institution", "references", "processing_level", "coverage_content_type"),
}
"""Attributes of a variable about its flags, its file and how it was made."""

_PRODUCER = {
    *("title", "summary", "source", "institution", "references", "comment", "contact", "id"),
    *("naming_authority", "uuid", "doi", "program", "project", "processing_level", "mission_name"),
    *("cdm_data_type", "conventions", "metadata_conventions", "metadata_link", "acknowledgement"),
    *("acknowledgment", "ssalto_duacs_comment", "standard_name_vocabulary"),
}
"""Attributes of a file about what it is and who made it, in lower case."""

_EXTENT = ("geospatial_", "time_coverage_")

_PRODUCER_BEGINNINGS = (
    *("creator_", "publisher_", "contributor_", "product_", "software_", "platform", "instrument"),
    *("keywords", "date_", *_EXTENT),
)


def lasting(attributes: Mapping) -> dict:
    """Return the attributes of a variable that hold of values computed from it.

    Those about packing, valid ranges, flags, cell methods and the file of the input do not.
    """
    kept = lasting_attributes(attributes)
    return {name: value for name, value in kept.items() if name not in _OF_ANOTHER}


def derived(attributes: Mapping, action: str, maker: str | None = None) -> dict:
    """Return the attributes of a Dataset made from another one, with a line about `action`.

    The title, the producer, the contacts, the extent and the level of the input are not those of
    the result. Its title and institution, and what it was itself made from, become the ``source``,
    and its ``references`` stay.

    Parameters
    ----------
    attributes : mapping
        Of the input.
    action : str
        What was done, for the ``history``.
    maker : str, optional
        What made the result, such as a model and its version, for the ``source``.
    """
    kept = {
        name: value
        for name, value in attributes.items()
        if name.lower() not in _PRODUCER and not name.lower().startswith(_PRODUCER_BEGINNINGS)
    }
    given = _describe(attributes)
    source = f"{maker}, from {given}" if maker and given else maker or given
    references = attributes.get("references") or attributes.get("creator_url")
    told = {"source": source, "references": references}
    return {
        **add_history(kept, action),
        **{name: str(value) for name, value in told.items() if value},
        "Conventions": CONVENTIONS,
    }


def passed_on(attributes: Mapping, action: str) -> dict:
    """Return the attributes of a Dataset made from another: as they are of what a model made.

    Its title, source and whatever its maker added are of the same maps; of other inputs see
    `derived`. The extent is written anew.
    """
    if "xdvarnet_model" not in attributes:
        return derived(attributes, action)
    kept = {name: each for name, each in attributes.items() if not name.startswith(_EXTENT)}
    return add_history(kept, action)


def encode_axes(dataset: xr.Dataset) -> xr.Dataset:
    """Return a Dataset whose axes are written as CF asks: no fill values, times as floats."""
    dataset = dataset.copy()
    for name in dataset.indexes:
        axis = dataset[name].variable
        kind = {"dtype": "float64"} if axis.dtype.kind in "MO" else {}
        axis.encoding = {**axis.encoding, "_FillValue": None, **kind}
    return dataset


def _describe(attributes: Mapping) -> str:
    """Return the title of a file with its institution, and its own source."""
    title, institution, source = (
        str(attributes.get(name) or "") for name in ("title", "institution", "source")
    )
    name = f"{title} ({institution})" if title and institution else title or institution
    return f"{name}, from {source}" if name and source else name or source
