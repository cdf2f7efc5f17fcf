"""A file with impossible contents is refused, before anything is computed with it."""

import copy
import dataclasses
import importlib.resources
import inspect
from collections.abc import Iterator

import numpy as np
import pytest
from instances import MAKERS, SERIES, Drift

import xdvarnet
from xdvarnet.calibration import ErrorProcess
from xdvarnet.errors import InvalidInputError, InvalidTypeError, ModelFileError
from xdvarnet.mapping import Window
from xdvarnet.mapping.description import WEIGHTS, build, describe
from xdvarnet.networks import TrainingGrid
from xdvarnet.solver import (
    BilinearAutoencoder,
    FixedPoint,
    GradientStep,
    MaskedObservation,
    Minimisation,
    Solver,
    VariationalSolver,
)
from xdvarnet.zoo.format import read, write
from xdvarnet.zoo.registry import SHIPPED, public_classes

POSITIVE = (-1, 0, float("nan"), float("inf"), None, "x")
NOT_NEGATIVE = tuple(value for value in POSITIVE if value != 0)
CAN_BE_ZERO = ("offset", "slope", "noise")

NETWORK = ("model", "arguments")
ERRORS = ("errors", "ssh", "arguments")
BAD = {
    (*ERRORS, field.name): NOT_NEGATIVE if field.name in CAN_BE_ZERO else POSITIVE
    for field in dataclasses.fields(ErrorProcess)
}
BAD |= {
    (*NETWORK, "training_grid", "arguments", "spacing"): ([0, 0], [-1, 0.1], [0.1], None, 3),
    (*NETWORK, "training_grid", "arguments", "latitudes"): (
        [None, None],
        [float("nan"), 3.0],
        [50.0, 30.0],
        [-91.0, 0.0],
        None,
    ),
    (*NETWORK, "solver", "arguments", "iterations"): (0, -1, 2.5, 1e9, 10**9, 999_999, None, True),
    (*NETWORK, "window", "arguments", "latitude"): (0, 10**9, 1e9, float("nan"), None),
    (*NETWORK, "history"): (3, "x", [1]),
}
"""Places in the file of a calibrated network, and what cannot be there."""


@pytest.fixture(scope="module")
def shipped() -> tuple[dict, dict[str, np.ndarray]]:
    return read_shipped("med-ssh")


def read_shipped(name: str) -> tuple[dict, dict[str, np.ndarray]]:
    folder = importlib.resources.files("xdvarnet.zoo") / "weights"
    with importlib.resources.as_file(folder / SHIPPED[name]) as path:
        return read(path)


def load(description, arrays, folder):
    path = folder / "model.safetensors"
    write(path, {key: part for key, part in description.items() if key != "format"}, arrays)
    return xdvarnet.load_model(path)


@pytest.mark.parametrize("place", BAD, ids=lambda place: place[-1])
def test_impossible_arguments_are_refused(place, shipped, tmp_path):
    for value in BAD[place]:
        description = copy.deepcopy(shipped[0])
        part = description["model"]["arguments"]
        for key in place[:-1]:
            part = part[key]
        assert place[-1] in part
        part[place[-1]] = value
        with pytest.raises(ModelFileError, match="cannot be built|impossible"):
            load(description, shipped[1], tmp_path)


@pytest.mark.parametrize("name", SHIPPED)
def test_weights_that_are_missing_are_refused(name, tmp_path):
    """All of them, those of one solver, or one."""
    description, arrays = read_shipped(name)
    weights = [key for key in arrays if WEIGHTS in key]
    assert weights
    solver = weights[0].split(WEIGHTS)[0]
    for missing in (weights, [key for key in weights if key.startswith(solver)], weights[-1:]):
        left = {key: array for key, array in arrays.items() if key not in missing}
        with pytest.raises(ModelFileError, match="weights do not fit the network of"):
            load(description, left, tmp_path)
    load(description, arrays, tmp_path)


def test_constructors_say_what_is_wrong():
    """As they do for who calls them: no list of a reader is behind it."""
    process = ErrorProcess(1e-4, 1.0, 80.0, 4.0, 0.05, 90.0, 5.0, 0.02)
    with pytest.raises(InvalidInputError, match="length=0 is not .* more than zero, in km"):
        dataclasses.replace(process, length=0)
    with pytest.raises(InvalidInputError, match="offset=-1 .*zero or more.*squared"):
        dataclasses.replace(process, offset=-1)
    with pytest.raises(InvalidInputError, match="spacing=0 is not accepted"):
        TrainingGrid((0, 1), (30, 40))
    with pytest.raises(InvalidTypeError, match="latitudes is None; give two numbers"):
        TrainingGrid((1, 1), None)
    with pytest.raises(InvalidInputError, match=r"latitudes=\(40, 30\) are not accepted"):
        TrainingGrid((1, 1), (40, 30))
    with pytest.raises(InvalidInputError, match="whole numbers from 1 to 100000"):
        Window(5, 10**6, 8)


PRIOR = BilinearAutoencoder(3, hidden=2)
SOLVERS = {
    FixedPoint: lambda number: FixedPoint(PRIOR, iterations=number),
    Minimisation: lambda number: Minimisation(PRIOR, MaskedObservation(), iterations=number),
    VariationalSolver: lambda number: VariationalSolver(
        PRIOR, MaskedObservation(), GradientStep(0.1), iterations=number
    ),
}


def test_every_solver_with_iterations_is_among_these():
    kinds = {kind for kind in public_classes().values() if issubclass(kind, Solver)}
    assert {kind for kind in kinds if "iterations" in inspect.signature(kind).parameters} == set(
        SOLVERS
    )


@pytest.mark.parametrize("make", SOLVERS.values(), ids=[kind.__name__ for kind in SOLVERS])
def test_every_solver_refuses_impossible_iterations(make):
    for number in (0, 1e9, 10**6, 2.5, True, None):
        with pytest.raises(InvalidInputError, match="iterations=.* whole number from 1 to 100000"):
            make(number)
    assert make(7).iterations == 7


CLASSES = {**public_classes(), "Drift": Drift}
UNBOUNDED = {"Layout"}  # it allocates nothing, and the network that is laid out has bounds


def counts_of(description: object, name: str = "model") -> Iterator[tuple[dict, str, str]]:
    """Parts of a model with whole numbers: their descriptions, names, and those of the numbers."""
    if isinstance(description, list):
        description = dict(enumerate(description))
    if not isinstance(description, dict):
        return
    if set(description) == {"class", "arguments"} and description["class"] in CLASSES:
        parameters = inspect.signature(CLASSES[description["class"]]).parameters
        for key, value in description["arguments"].items():
            whole = parameters[key].annotation in (int, int | None) and value is not None
            if whole and description["class"] not in UNBOUNDED:
                yield description, name, key
        description = description["arguments"]
    for key, item in description.items():
        yield from counts_of(item, f"{name}.{key}")


@pytest.mark.parametrize("make", [*MAKERS.values(), *SERIES.values()], ids=[*MAKERS, *SERIES])
def test_every_count_of_every_model_has_a_bound(make):
    """The message says what is accepted, or what the number does not fit."""
    arrays = {}
    for part, name, key in counts_of(describe(make(), arrays)):
        for number in (10**6 + 1, 10**12):
            other = {**part, "arguments": {**part["arguments"], key: number}}
            with pytest.raises(ModelFileError, match="accepted|beyond|the file holds fewer"):
                build(other, arrays, CLASSES, name)
