"""The CF attribute `history`."""

import xdvarnet
from xdvarnet.grids.history import add_history


def test_a_line_is_added_after_those_that_are_there():
    line = f"xdvarnet {xdvarnet.__version__}: observe"
    before = {"title": "sea", "history": "2020: created"}
    assert add_history(before, "observe") == {"title": "sea", "history": f"2020: created\n{line}"}
    assert before["history"] == "2020: created"
    assert add_history({}, "observe") == {"history": line}
