import re

import numpy as np
import pytest
import xarray as xr

from xdvarnet.errors import InvalidInputError, InvalidTypeError, UnknownNameError
from xdvarnet.grids.checks import (
    check_known,
    check_positive,
    check_regular,
    check_times,
    check_units,
    check_variable,
    is_speed,
    quantity,
    units_factor,
)


def array(units=None):
    attrs = {} if units is None else {"units": units}
    return xr.DataArray([1.0, 2.0], dims="time", name="ssh", attrs=attrs)


# times


@pytest.mark.parametrize("daily", [True, False])
@pytest.mark.parametrize("days", [[20179.0], [0.5, 1.5, 2.5], [3, 4.0005, 5]])
def test_daily_times_pass(days, daily):
    check_times(np.array(days, dtype=float), "time", daily=daily)


@pytest.mark.parametrize("daily", [True, False])
@pytest.mark.parametrize(
    ("days", "message"),
    [
        ([0, 1, 2, 2, 3], r"'t' has duplicate times \(first at position 2\); drop them with"),
        ([0, 2, 1], r"'t' is not in increasing order; sort with dataset\.sortby\('t'\)"),
        ([3, 2, 1], "not in increasing order"),
    ],
)
def test_times_must_increase(days, message, daily):
    with pytest.raises(InvalidInputError, match=message):
        check_times(np.array(days, dtype=float), "t", daily=daily)


@pytest.mark.parametrize(
    ("days", "message"),
    [
        ([0, 1, 3, 4, 9], r"steps by 2 days after position 1;.*resample\(t='1D'\)\.asfreq\(\)"),
        ([0, 0.25, 0.5], "steps by 0.25 days after position 0"),
    ],
)
def test_gaps_are_refused_where_there_is_a_time_window(days, message):
    check_times(np.array(days, dtype=float), "t", daily=False)
    with pytest.raises(InvalidInputError, match=message):
        check_times(np.array(days, dtype=float), "t", daily=True)


# variables


def test_variable_is_returned():
    dataset = xr.Dataset({"ssh": array("m")})
    xr.testing.assert_identical(check_variable(dataset, "ssh"), dataset["ssh"])


def test_missing_variable_lists_those_there_are():
    dataset = xr.Dataset({"sla": array(), "adt": array()}).assign_coords(ssh=3.0)
    with pytest.raises(UnknownNameError, match=r"'ssh' is missing; .* \['adt', 'sla'\].*rename"):
        check_variable(dataset, "ssh")
    with pytest.raises(KeyError):
        check_variable(dataset, "ssh")


# units


@pytest.mark.parametrize(
    ("units", "target", "factor"),
    [
        ("m", "m", 1.0),
        ("cm", "m", 0.01),
        ("meters", "m", 1.0),
        ("m", "cm", 100.0),
        ("mm", "m", 1e-3),
        ("cm s-1", "m/s", 0.01),
        ("cm2 s-2", "m^2/s^2", 1e-4),
        ("Meters", "m", 1.0),
        ("METERS", "m", 1.0),
        ("Meters per Second", "m/s", 1.0),
        ("Days", "hours", 24.0),
        ("0.01 m", "m", 0.01),
        ("m", "0.01 m", 100.0),
        ("10^-3 m", "cm", 0.1),
        ("1e-3", "1", 1e-3),
        ("1000 km", "m", 1e6),
        ("deg. C", "degC", 1.0),
        ("degrees Celsius", "degC", 1.0),
        ("deg_K", "K", 1.0),
        ("KELVIN", "K", 1.0),
        ("1/m", "m-1", 1.0),
        ("0,01 m", "m", 0.01),
        ("2,5 cm", "cm", 2.5),
        ("M", "m", 1.0),
        ("CM", "m", 0.01),
        ("[m]", "m", 1.0),
        ("m.", "m", 1.0),
        ("10-2 m", "m", 0.01),
        ("mg.m-3", "mg m-3", 1.0),
        ("m2.s-2", "m2/s2", 1.0),
        ("Celcius", "degC", 1.0),
        ("deg Celcius", "degC", 1.0),
        ("degC", "degC", 1.0),
        (None, "m", 1.0),
    ],
)
def test_units_convert(units, target, factor):
    assert units_factor(array(units), target) == pytest.approx(factor, rel=1e-12)


@pytest.mark.parametrize("units", ["kg", "degC", "bananas", "m^", "1", 1])
def test_units_that_do_not_convert(units):
    message = re.escape(f"'ssh' has units {units!r}, which do not convert to 'm'")
    with pytest.raises(InvalidInputError, match=message):
        units_factor(array(units), "m")


# pint's parser raises its own errors, ValueError, AssertionError, TokenError, ZeroDivisionError ...
MALFORMED = ["m^", "m**", "m(", "m)", "+)", "(/ '_')", "m/0", "m s-", "m**m", "0x", '"m', "m\x00"]
ENDLESS = ["9**9**9 km", "9^9^9", "m-9**9**9", "((9))**(9)**9 m", "km 9**9**9", "log10(g/L)"]
MALFORMED += [*ENDLESS, "1,000 m", "m, s", "0,01,2 m"]


@pytest.mark.parametrize("units", MALFORMED)
def test_malformed_units_are_one_error_with_its_cause(units):
    """Whatever the parser raises, and the message shows more than an empty pair of brackets."""
    assert not is_speed(units)
    for read in (
        lambda: units_factor(array(units), "m"),
        lambda: check_units(units),
        lambda: quantity(f"3 {units}", "m", "length"),
    ):
        with pytest.raises(InvalidInputError) as caught:
            read()
        assert caught.value.__cause__ is not None
        assert repr(units)[1:-1] in str(caught.value) and " ()" not in str(caught.value)


def test_units_with_an_offset_have_no_factor():
    with pytest.raises(InvalidInputError, match="'degC', which do not convert to 'K'"):
        units_factor(array("degC"), "K")


# values


@pytest.mark.parametrize("value", [2, 2.0, np.float32(2), "2"])
def test_positive_number(value):
    number = check_positive(value, "noise", "m")
    assert type(number) is float and number == 2.0


def test_zero():
    assert check_positive(0, "noise", "m", zero=True) == 0.0
    with pytest.raises(InvalidInputError, match="noise=0 is not accepted; give more than zero"):
        check_positive(0, "noise", "m")


@pytest.mark.parametrize("value", [-1, np.nan, np.inf, -0.5])
def test_no_positive_number(value):
    with pytest.raises(InvalidInputError, match="is not accepted; give zero or more, in m"):
        check_positive(value, "noise", "m", zero=True)


@pytest.mark.parametrize("value", ["much", None, [1, 2]])
def test_no_number(value):
    with pytest.raises(InvalidInputError, match="is no number; give more than zero, in m"):
        check_positive(value, "noise", "m")


@pytest.mark.parametrize(
    ("value", "units", "expected"),
    [
        ("60 km", "km", 60),
        ("60km", "km", 60),
        ("6e4 m", "km", 60),
        (60, "km", 60),
        ("20 days", "days", 20),
        ("36 h", "days", 1.5),
    ],
)
def test_quantities(value, units, expected):
    found = quantity(value, units, "length")
    assert type(found) is float and found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("value", ["20 days", "far", "60", "", "60 kn", "10-20 km", "1,000 km"])
def test_quantity_that_is_no_length(value):
    with pytest.raises(InvalidInputError, match=f"length={value!r} is not understood.*'10 km'"):
        quantity(value, "km", "length")


@pytest.mark.parametrize("value", ["-3 km", "0 km", -3, 0, "nan km"])
def test_quantity_that_is_not_positive(value):
    with pytest.raises(InvalidInputError, match="is not accepted; give more than zero, in km"):
        quantity(value, "km", "length")


# names


def test_known_names():
    check_known("gfo", ["gfo", "envisat"], "mission")
    with pytest.raises(UnknownNameError, match="unknown mission 'ers9'; known are envisat, gfo"):
        check_known("ers9", {"gfo": 1, "envisat": 2}, "mission")


def test_steps_are_equal_to_ten_percent():
    check_regular(np.array([1, 2, 3.05, 4]), "lat", "it")
    with pytest.raises(InvalidInputError, match="'lat' steps by 2 degrees after 3 and by 1 else"):
        check_regular(np.array([1.0, 2, 3, 5, 6]), "lat", "it")


@pytest.mark.parametrize("units", ["bananas", "degree Celsius", "psu", 1e3])
def test_equal_units_convert_if_they_are_text(units):
    if isinstance(units, str):
        assert units_factor(array(units), units) == 1.0
    else:
        with pytest.raises(InvalidInputError, match="do not convert"):
            units_factor(array(units), units)


def test_the_message_on_units_fits_them():
    with pytest.raises(InvalidInputError, match="an offset, which is not supported") as caught:
        units_factor(array("degree Celsius"), "K")
    assert "cK" not in str(caught.value)


@pytest.mark.parametrize("units", ["m", "cm s-1", "psu", "PSU", "degree_C", "degC", "1"])
def test_known_units(units):
    assert check_units(units) == units


def test_unknown_units():
    with pytest.raises(InvalidInputError, match="units='foo' are not known"):
        check_units("foo")
    with pytest.raises(InvalidTypeError, match="units=3 is no string"):
        check_units(3)


@pytest.mark.parametrize(
    ("text", "units", "expected"),
    [
        ("0.3 degC", "K", 0.3),
        ("0.3 K", "degC", 0.3),
        ("1 degree", "km", 111.19),
        ("0.5°", "km", 55.6),
        ("2 degrees", "km", 222.4),
        ("3 cm", "m", 0.03),
    ],
)
def test_quantities_are_differences(text, units, expected):
    """Of temperatures no origin is added; a degree of latitude is a length."""
    assert quantity(text, units, "size") == pytest.approx(expected, rel=1e-3)


def test_a_length_in_degrees_is_no_time():
    with pytest.raises(InvalidInputError, match="units that convert to day"):
        quantity("1 degree", "day", "correlation_time")
