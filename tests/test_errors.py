"""Errors are ours and of their built-in kind."""

import pytest

from xdvarnet import errors


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.InvalidInputError, ValueError),
        (errors.InvalidTypeError, TypeError),
        (errors.MissingFileError, FileNotFoundError),
        (errors.MissingDependencyError, ImportError),
        (errors.ModelFileError, ValueError),
        (errors.UnknownNameError, KeyError),
    ],
)
def test_every_error_is_also_a_built_in_one(error, kind):
    with pytest.raises(kind):
        raise error("what is wrong")
    assert issubclass(error, errors.XdvarnetError)
    assert str(error("what is wrong")) == "what is wrong"
