"""What a type checker sees of the package: the types, though names are imported when used."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")

ROOT = Path(__file__).parents[1]

CODE = """\
import xdvarnet
xdvarnet.OptimalInterpolation("ssh", correlation_length=[68], correlation_time=13.0, noise=0.02)
reveal_type(xdvarnet.load_model("med-ssh"))
xdvarnet.load_modle("med-ssh")
"""

SEEN = [
    'code.py:2: error: Argument "correlation_length" to "OptimalInterpolation" has incompatible '
    'type "list[int]"; expected ',
    'code.py:3: note: Revealed type is "xdvarnet.mapping.protocol.Reconstructor"',
    'code.py:4: error: Module has no attribute "load_modle"',
]


@pytest.mark.slow
def test_type_checker_sees_the_types_of_lazy_names(tmp_path: Path) -> None:
    code = tmp_path / "code.py"
    code.write_text(CODE)
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-pretty", str(code)],
        cwd=ROOT,  # with the settings of the project, and what `make lint` has found before
        capture_output=True,
        text=True,
        timeout=600,
    )
    said = [line[line.find("code.py:") :] for line in run.stdout.splitlines() if "code.py:" in line]
    assert len(said) == len(SEEN), run.stdout + run.stderr
    for line, start in zip(said, SEEN, strict=True):
        assert line.startswith(start)
