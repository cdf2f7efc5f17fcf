import numpy as np
import pytest
import xarray as xr
from scipy.special import gamma, kv
from scipy.stats import multivariate_normal, norm

from xdvarnet.datasets import mediterranean
from xdvarnet.errors import InvalidInputError, InvalidTypeError, XdvarnetWarning
from xdvarnet.grids.provenance import CONVENTIONS
from xdvarnet.observing import clouds
from xdvarnet.observing.clouds import LENGTHS, CloudySST
from xdvarnet.observing.observer import Observer

DAYS, ROWS, COLUMNS = 13, 22, 31
NORTH, EAST = 0.25, 0.4


def maps(*, days=DAYS, rows=ROWS, columns=COLUMNS, every=1, value=15.0, north=NORTH, east=EAST):
    """Make constant maps, one `every` so many days, on a grid with three different steps."""
    return xr.Dataset(
        {
            "sst": (
                ("time", "lat", "lon"),
                np.full((days, rows, columns), value, "float32"),
                {"units": "degC", "long_name": "temperature"},
            )
        },
        {
            "time": np.datetime64("2005-04-01", "ns")
            + every * np.arange(days) * np.timedelta64(1, "D"),
            "lat": ("lat", 33 + north * np.arange(rows), {"units": "degrees_north"}),
            "lon": ("lon", -5 + east * np.arange(columns), {"units": "degrees_east"}),
        },
        {"title": "test"},
    )


def hidden(system, dataset, seed):
    """Return where there is a cloud, shape (time, latitude, longitude)."""
    return system.observe(dataset, rng=seed)["sst"].isnull().values


def correlation(distance):
    """Matern correlation of order 1/3 at a distance in outer scales: the spectrum -4/3 in 2-D."""
    return 2 ** (2 / 3) / gamma(1 / 3) * distance ** (1 / 3) * kv(1 / 3, distance)


def disagreement(cover, distance):
    """Probability that one of two cells is cloudy and the other is not."""
    rho, threshold = correlation(distance), norm.isf(cover)
    both_clear = multivariate_normal(cov=[[1, rho], [rho, 1]]).cdf([threshold, threshold])
    return 2 * (1 - cover - both_clear)


# the clouds


@pytest.mark.parametrize("cover", [0.25, 0.7])
def test_the_mean_cover_is_the_parameter(cover):
    # 30 days apart nothing is left of a cloud
    daily = hidden(CloudySST(0.1, cover), maps(days=400, every=30), 1).mean((1, 2))
    assert abs(daily.mean() - cover) < 3 * daily.std() / np.sqrt(daily.size)
    assert 3 * daily.std() / np.sqrt(daily.size) < 0.05


@pytest.mark.parametrize(("axis", "lag"), [(1, 1), (1, 6), (2, 1), (2, 9)])
def test_neighbours_agree_as_the_spectrum_says(axis, lag):
    cover = 0.6
    cloudy = hidden(CloudySST(0.1, cover), maps(days=400, every=30), 2)
    size = cloudy.shape[axis]
    near, far = (
        np.take(cloudy, range(start, size - lag + start), axis).astype(int) for start in (0, lag)
    )
    differ = (near != far).mean((1, 2))
    middle = np.cos(np.deg2rad(33 + NORTH * (ROWS - 1) / 2))
    kilometres = 111.195 * lag * (NORTH if axis == 1 else EAST * middle)
    expected = disagreement(cover, kilometres / LENGTHS[axis - 1])
    assert abs(differ.mean() - expected) < 3.5 * differ.std() / np.sqrt(differ.size)
    assert expected < 0.8 * 2 * cover * (1 - cover)  # white noise differs more often


def test_clouds_stay_for_days_where_they_are_large():
    small = maps(days=500, rows=9, columns=7, north=0.4)
    daily = hidden(CloudySST(0.1, 0.6), small, 3)
    cover = daily.mean((1, 2))

    def lagged(lag):
        return np.corrcoef(cover[lag:], cover[:-lag])[0, 1]

    assert 0.2 < lagged(1) < 0.7
    assert lagged(1) > lagged(2) + 0.05
    assert abs(lagged(20)) < 0.2
    assert (cover < 0.1).mean() > 0.04 and (cover > 0.95).mean() > 0.04
    same = 1 - (daily[1:] != daily[:-1]).mean() / (2 * 0.6 * 0.4)
    beside = 1 - (daily[:, 1:] != daily[:, :-1]).mean() / (2 * 0.6 * 0.4)
    assert 0.05 < same < beside


def test_clouds_drift_with_the_wind(monkeypatch):
    monkeypatch.setattr(clouds, "PERSISTENCE", 1e6)
    today, tomorrow = hidden(CloudySST(0.1, 0.5), maps(days=2, rows=110, columns=90), 4)
    inner = today[30:-30, 20:-20]
    agreement = {
        (row, column): (inner == tomorrow[30 + row : 80 + row, 20 + column : 70 + column]).mean()
        for row in range(-30, 31)
        for column in range(-20, 21)
    }
    moved = max(agreement, key=agreement.get)
    assert moved != (0, 0)
    assert agreement[moved] > 0.9 > agreement[0, 0] + 0.05


def test_gaps_in_the_days_lose_what_the_days_between_would():
    # two days apart after one step of two days, or after two steps of one
    def changed(every):
        lag = 2 // every
        dataset = maps(days=300 * lag, every=every, rows=30, columns=35, north=0.8, east=1.0)
        cloudy = hidden(CloudySST(0.1, 0.5), dataset, 5)
        return (cloudy[lag:] != cloudy[:-lag]).mean()

    assert changed(2) == pytest.approx(changed(1), abs=0.01)
    assert changed(2) < 0.48  # a half, if nothing were left


def test_clouds_have_the_scales_of_a_real_radiometer(shared_data):
    with xr.open_dataset(shared_data("alboran_avhrr_sst_20170514.nc")) as stored:
        real = stored.isel(lat=slice(None, None, 4), lon=slice(None, None, 4)).load()
    sea = real["mask"].values > 0
    truth = real[["SST"]].fillna(15.0)

    def describe(cloudy):
        cover = cloudy[:, sea].mean()
        found = [cloudy[:, sea].mean(1).std()]
        for axis in (1, 2):
            for lag in (1, 4, 10):
                size = cloudy.shape[axis]
                first, second = range(size - lag), range(lag, size)
                both = np.take(sea, first, axis - 1) & np.take(sea, second, axis - 1)
                differ = np.take(cloudy, first, axis) != np.take(cloudy, second, axis)
                found.append(differ[:, both].mean() / (2 * cover * (1 - cover)))
        found.append((cloudy[1:] != cloudy[:-1])[:, sea].mean() / (2 * cover * (1 - cover)))
        return np.array(found)

    seen = real["SST"].isnull().values
    system = CloudySST(0.3, float(seen[:, sea].mean()))
    simulated = np.array(
        [describe(system.observe(truth, rng=seed)["SST"].isnull().values) for seed in range(24)]
    )
    distance = np.abs(describe(seen) - simulated.mean(0)) / simulated.std(0)
    assert (distance < 2).all(), distance
    white = np.random.default_rng(0).random(seen.shape) < system.cover
    assert (np.abs((describe(white) - simulated.mean(0)) / simulated.std(0))[:-1] > 3).all()


def test_all_is_seen_without_clouds():
    assert not hidden(CloudySST(0.1, 0.0), maps(), 6).any()


# the errors


def test_errors_have_the_given_deviation_and_are_independent():
    dataset = maps(days=40, rows=40, columns=60, value=0.0)
    errors = CloudySST(0.3, 0.5).observe(dataset, rng=7)["sst"].values
    seen = errors[np.isfinite(errors)]
    assert seen.size > 2e4
    assert abs(seen.mean()) < 4 * 0.3 / np.sqrt(seen.size)
    assert seen.std() == pytest.approx(0.3, rel=4 / np.sqrt(2 * seen.size))
    for axis in range(3):
        size = errors.shape[axis]
        product = np.take(errors, range(size - 1), axis) * np.take(errors, range(1, size), axis)
        product = product[np.isfinite(product)]
        assert abs(product.mean()) < 4 * 0.3**2 / np.sqrt(product.size)


def test_noise_does_not_move_the_clouds():
    without = CloudySST(0.0, 0.5).observe(maps(value=0.0), rng=8)["sst"]
    noisy = CloudySST(0.2, 0.5).observe(maps(value=0.0), rng=8)["sst"]
    twice = CloudySST(0.4, 0.5).observe(maps(value=0.0), rng=8)["sst"]
    np.testing.assert_array_equal(without.notnull(), noisy.notnull())
    np.testing.assert_allclose(twice, 2 * noisy, rtol=1e-6)


def test_more_cover_hides_more_of_the_same():
    low, high = (hidden(CloudySST(0.1, cover), maps(), 9) for cover in (0.4, 0.6))
    assert (low <= high).all() and (low < high).any()


def test_variables_share_clouds_and_not_errors():
    dataset = maps()
    dataset["skin"] = dataset["sst"]
    observed = CloudySST(0.3).observe(dataset, rng=10)
    np.testing.assert_array_equal(observed["sst"].notnull(), observed["skin"].notnull())
    assert float(abs(observed["sst"] - observed["skin"]).mean()) > 0.1


def test_one_seed_one_result():
    system = CloudySST(0.3, 0.5)
    first = system.observe(maps(), rng=11)
    xr.testing.assert_identical(first, system.observe(maps(), rng=11))
    xr.testing.assert_identical(first, system.observe(maps(), rng=np.random.default_rng(11)))
    assert (first["sst"].notnull() != system.observe(maps(), rng=12)["sst"].notnull()).any()
    generator = np.random.default_rng(11)
    draws = [system.observe(maps(), rng=generator) for _ in range(2)]
    assert not draws[0]["sst"].equals(draws[1]["sst"])


# what comes back


def test_land_stays_land():
    truth = mediterranean().isel(time=slice(0, 4)).rename(ssh="sst").drop_vars("sea")
    observed = CloudySST(0.05, 0.5).observe(truth, rng=13)
    land = truth["sst"].isnull()
    assert observed["sst"].where(land).isnull().all()
    xr.testing.assert_equal(
        observed["sea"].reset_coords(drop=True), truth["sst"].notnull().any("time")
    )
    assert 0.2 < float(observed["sst"].notnull().sum() / truth["sst"].notnull().sum()) < 0.8


def test_the_rest_of_the_dataset_is_kept():
    dataset = maps().assign(depth=(("lat", "lon"), np.ones((ROWS, COLUMNS))))
    before = dataset.copy(deep=True)
    observed = CloudySST(0.3, 0.6).observe(dataset.assign_attrs(history="2020: made"), rng=14)
    xr.testing.assert_identical(dataset, before)
    xr.testing.assert_identical(observed["depth"].drop_vars("sea"), dataset["depth"])
    assert observed["sst"].dtype == "float32"
    assert observed["sst"].attrs == dataset["sst"].attrs
    assert observed["sea"].dims == ("lat", "lon") and observed["sea"].all()
    history = observed.attrs.pop("history").split("\n")
    assert history[0] == "2020: made"
    assert history[1].endswith("observe with CloudySST(noise=0.3, cover=0.6)")
    told = {"source": "test", "Conventions": CONVENTIONS}
    assert observed.attrs == told | {"observing_cover": 0.6, "observing_noise": 0.3}


def test_a_given_mask_is_kept():
    given = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS) % 3 == 0
    dataset = maps().assign_coords(sea=(("lat", "lon"), given, {"long_name": "mine"}))
    observed = CloudySST(0.3).observe(dataset, rng=15)
    xr.testing.assert_identical(observed["sea"], dataset["sea"])


def test_order_and_names_of_the_axes_do_not_matter():
    reference = CloudySST(0.3).observe(maps(), rng=16)["sst"]
    turned = maps().isel(lat=slice(None, None, -1)).transpose("lon", "lat", "time")
    turned = turned.rename(lat="latitude", lon="x", time="day")
    turned["day"].attrs["standard_name"] = "time"
    observed = CloudySST(0.3).observe(turned, rng=16)["sst"]
    assert observed.dims == ("x", "latitude", "day")
    back = observed.isel(latitude=slice(None, None, -1)).transpose("day", "latitude", "x")
    np.testing.assert_array_equal(back, reference)


def test_dask_stays_lazy_and_equals_eager():
    pytest.importorskip("dask")
    eager = CloudySST(0.3).observe(maps(), rng=17)
    chunked = maps().chunk(time=4, lat=7, lon=10)
    lazy = CloudySST(0.3).observe(chunked, rng=17)
    assert lazy["sst"].chunksizes == chunked["sst"].chunksizes
    assert lazy["sea"].chunks is not None
    xr.testing.assert_identical(lazy.compute(), eager)


# clouds over everything


def overcast_seed(system, dataset):
    return next(s for s in range(50) if hidden(CloudySST(0, system.cover), dataset, s).all())


@pytest.mark.filterwarnings("ignore::xdvarnet.errors.XdvarnetWarning")
def test_clouds_over_everything():
    system, dataset = CloudySST(0.3, 0.95), maps(days=1)
    seed = overcast_seed(system, dataset)
    with pytest.warns(XdvarnetWarning, match=r"hide the whole sea in these 1 day\(s\)"):
        observed = system.observe(dataset, rng=seed)
    assert observed["sst"].isnull().all() and observed["sea"].all()


def test_clear_land_alone_is_nothing_seen():
    cloudy = hidden(CloudySST(0.3, 0.5), maps(days=1), 18)
    assert 0.1 < cloudy.mean() < 0.9
    under = maps(days=1).where(xr.DataArray(cloudy, dims=("time", "lat", "lon")))
    with pytest.warns(XdvarnetWarning, match="hide the whole sea"):
        CloudySST(0.3, 0.5).observe(under, rng=18)


# bad input


@pytest.mark.parametrize(
    ("noise", "cover", "message"),
    [
        (-0.1, 0.5, "noise=-0.1 is not accepted; give zero or more, in the units of the data"),
        (np.nan, 0.5, "noise=nan is not accepted"),
        ("much", 0.5, "noise='much' is no number"),
        (0.1, -0.5, "cover=-0.5 is not accepted; give zero or more"),
        (0.1, None, "cover=None is no number"),
        (0.1, 1, "cover=1 leaves no cell to be seen; give a mean fraction .* below 1"),
        (0.1, 70, "cover=70 leaves no cell"),
    ],
)
def test_bad_system(noise, cover, message):
    with pytest.raises(InvalidInputError, match=message):
        CloudySST(noise, cover)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda data: data["sst"], InvalidTypeError, "expected an xarray Dataset, got DataArray"),
        (lambda data: data.drop_vars("sst"), InvalidInputError, "no variable has the dimensions"),
        (lambda data: data.isel(time=slice(0)), InvalidInputError, "'time' is empty"),
        (lambda data: data.isel(time=[0, 2, 1]), InvalidInputError, "not in increasing order"),
        (lambda data: data.isel(lat=[0, 1, 2, 5]), InvalidInputError, "'lat' steps by 0.75"),
        (lambda data: data.isel(lon=[0, 1, 2, 5]), InvalidInputError, "'lon' steps by 1.2"),
        (lambda data: data.expand_dims(depth=[1.0]), InvalidInputError, r"dimensions \['depth'\]"),
        (lambda data: data.astype(int), InvalidInputError, "int64 values, which have no NaN"),
        (lambda data: data.where(data["lat"] > 34, np.inf), InvalidInputError, "infinite value"),
    ],
)
def test_bad_dataset(change, error, message):
    with pytest.raises(error, match=message):
        CloudySST(0.3).observe(change(maps()), rng=0)


def test_it_is_an_observer_with_a_lasting_name():
    system = CloudySST(0.3)
    assert isinstance(system, Observer)
    assert repr(system) == "CloudySST(noise=0.3, cover=0.7)"
    assert system == eval(repr(system))
