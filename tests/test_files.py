"""Files that are there as a whole or not at all."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import numpy as np
import pytest
from toys import toy_interpolation

import xdvarnet
from xdvarnet._files import write_atomically

WRITER = """
import sys
from concurrent.futures import ThreadPoolExecutor
from unittest import mock
import numpy as np
from xdvarnet.zoo.format import write
path, number = sys.argv[1], int(sys.argv[2])
for turn in range(60):
    write(path, {"model": number}, {"a": np.full(20_000, number, np.float32)})
"""


def test_two_writers_and_a_reader_see_whole_files(tmp_path):
    """Of the two processes one wins each time; no save fails, and no read is of half a file."""
    from xdvarnet.zoo.format import read

    path = tmp_path / "model.safetensors"
    xdvarnet.zoo.format.write(path, {"model": 0}, {"a": np.zeros(20_000, np.float32)})
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(number)], stderr=subprocess.PIPE
        )
        for number in (1, 2)
    ]
    reads = 0
    while any(writer.poll() is None for writer in writers) or reads < 20:
        description, arrays = read(path)
        assert (arrays["a"] == description["model"]).all()
        reads += 1
    for writer in writers:
        assert writer.wait() == 0, writer.stderr.read().decode()
    assert list(tmp_path.iterdir()) == [path]


def test_permissions_are_those_of_a_new_file(tmp_path):
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "file", lambda path: path.write_text("content"))
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_files_of_other_threads_keep_their_permissions(tmp_path):
    """The umask belongs to the process: a write never changes it, not even for a moment."""
    before = os.umask(0o022)
    try:
        with ThreadPoolExecutor(2) as pool, mock.patch("os.umask") as changed:
            paths = [tmp_path / str(number) for number in range(40)]
            list(pool.map(lambda path: write_atomically(path, lambda p: p.write_text("a")), paths))
            changed.assert_not_called()
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o644}


def test_a_link_stays_one_and_files_of_others_stay(tmp_path):
    target, link = tmp_path / "target.safetensors", tmp_path / "link.safetensors"
    partial = tmp_path / "link.safetensors.partial"
    target.write_text("old")
    partial.write_text("mine")
    link.symlink_to(target)
    xdvarnet.save_model(toy_interpolation(), link)
    assert link.is_symlink()
    assert xdvarnet.load_model(target).noise == toy_interpolation().noise
    assert partial.read_text() == "mine"


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def fail(temporary):
        temporary.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
