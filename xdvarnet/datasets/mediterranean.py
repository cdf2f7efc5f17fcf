"""Real maps of sea surface height, small enough to come with the package."""

from importlib.resources import as_file, files

import xarray as xr


def mediterranean() -> xr.Dataset:
    """Load 91 daily maps of the sea surface height of the Mediterranean Sea.

    The maps are the DUACS delayed-time absolute dynamic topography of 2005-04-01 to 2005-06-30,
    made by optimal interpolation from the altimeters Jason-1, Envisat, Geosat Follow-On and
    interleaved TOPEX/Poseidon. The attributes hold the provenance and the licence.

    Returns
    -------
    xarray.Dataset
        In memory. Variable ``ssh`` (time: 91, lat: 128, lon: 344), float32, in m above the geoid,
        NaN on land, on a grid of 1/8 degree from 30.0625 N to 45.9375 N and from 5.9375 W to
        36.9375 E; ``time`` is daily. The boolean coordinate ``sea`` (lat, lon) is True where there
        is a height on every day: the land mask varies in time, and nine cells have heights on some
        days only.

    References
    ----------
    Generated using E.U. Copernicus Marine Service Information; https://doi.org/10.48670/moi-00141

    Examples
    --------
    >>> from xdvarnet.datasets import mediterranean
    >>> truth = mediterranean()
    >>> dict(truth.sizes)
    {'time': 91, 'lat': 128, 'lon': 344}
    >>> truth["ssh"].attrs["units"]
    'm'
    """
    resource = files("xdvarnet.datasets") / "mediterranean_ssh_2005.nc"
    with as_file(resource) as path, xr.open_dataset(path, engine="h5netcdf") as stored:
        dataset = stored.load()
    dataset = dataset.drop_encoding()  # the packing of the file is not meant for what is made of it
    dataset["time"] = dataset["time"].astype("datetime64[ns]")
    dataset["ssh"] = dataset["ssh"].astype("float32")
    return dataset
