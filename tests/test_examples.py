"""The examples of the docstrings run, and give what they show."""

import doctest
import importlib
import pkgutil

import pytest

import xdvarnet

MODULES = [each.name for each in pkgutil.walk_packages(xdvarnet.__path__, "xdvarnet.")]
EXAMPLES = [
    test
    for name in MODULES
    if not name.endswith("__main__")
    for test in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name))
    if test.examples
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda test: test.name)
@pytest.mark.filterwarnings("ignore")
def test_an_example_gives_what_it_shows(example):
    told: list[str] = []
    failed, _ = doctest.DocTestRunner().run(example, out=told.append)
    assert not failed, "".join(told)
