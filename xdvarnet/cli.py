"""The command ``xdvarnet``: reconstruct and score files from a shell."""

import argparse
import glob
import logging
import re
import sys
import warnings
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import TextIO

import xarray as xr

from xdvarnet.errors import InvalidInputError, MissingFileError, XdvarnetError

EXAMPLES = {
    "reconstruct": """examples:
  xdvarnet reconstruct observations.nc maps.zarr --model med-ssh
  xdvarnet reconstruct 'daily/*.nc' maps.zarr --model tuned.safetensors --background observed
  The same command goes on where an earlier one was interrupted.
""",
    "score": """examples:
  xdvarnet score maps.zarr truth.nc
  xdvarnet score maps.zarr withheld_tracks.nc --kind ose2021a
""",
}

ADVICE = {
    r"(model\.)?with_options\(background=ObservedBackground\(\)\)": "--background observed",
    r"(?<![\w(])(variable|kind)=('?)([\w.]+)\2": r"--\1 \3",
}
"""What messages of the library advise, and the same in a shell."""

FAILED, INTERRUPTED = 2, 130
"""Exit codes; 0 is success."""

DAYS_AT_ONCE = 10
"""Days that are read at once from a file that has no chunks."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the shell.

    Returns
    -------
    int
        0 on success, also when nothing was left to do; 2 when it failed, with one line on standard
        error; 130 when it was interrupted.
    """
    options = _parser().parse_args(arguments)
    warnings.showwarning = _show_warning
    logging.basicConfig(format="xdvarnet: %(message)s")
    logging.getLogger("xdvarnet").setLevel(logging.INFO)
    warnings.filterwarnings("ignore", category=RuntimeWarning)  # of xarray, about metadata
    try:
        options.run(options)
    except Exception as error:  # readers of damaged files raise what they like
        own = isinstance(error, XdvarnetError | OSError)
        _say(str(error) if own else f"{type(error).__name__}: {error}")
        return FAILED
    except KeyboardInterrupt:
        _say("interrupted; the same command goes on.")
        return INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="xdvarnet", description="Complete maps from gappy data.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            epilog=EXAMPLES.get(name),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    reconstruct = add("reconstruct", "map gridded observations, into a zarr store")
    reconstruct.add_argument("input", help="netCDF file, pattern of files in quotes, or zarr store")
    reconstruct.add_argument("output", help="zarr store, such as maps.zarr")
    reconstruct.add_argument("--model", required=True, help="name of a model, or a model file")
    reconstruct.add_argument(
        "--background",
        choices=["model", "observed"],
        default="model",
        help="that of the model, or one from the observations, for another sea or year",
    )
    reconstruct.add_argument("--device", help="where networks run, such as cuda")
    reconstruct.add_argument("--quiet", action="store_true", help="show no progress")
    reconstruct.set_defaults(run=_reconstruct)

    score = add("score", "score maps against a truth or withheld tracks")
    score.add_argument("maps", help="netCDF file, pattern of files in quotes, or zarr store")
    score.add_argument("reference", help="the same, of complete maps or tracks")
    score.add_argument("--variable", help="by default the one that both have")
    score.add_argument("--kind", default="gridded", help="such as ose2021a; see xdvarnet.score")
    score.set_defaults(run=_score)

    add("models", "list the models of the package").set_defaults(run=_models)
    return parser


def _reconstruct(options: argparse.Namespace) -> None:
    from xdvarnet.mapping.background import ObservedBackground
    from xdvarnet.mapping.reconstruct import reconstruct
    from xdvarnet.zoo.registry import load_model

    model = load_model(options.model)
    background = ObservedBackground() if options.background == "observed" else None
    if background or options.device:
        model = model.with_options(background=background, device=options.device)
    with _open(options.input) as dataset:
        reconstruct(dataset, model, store=options.output, progress=not options.quiet)


def _score(options: argparse.Namespace) -> None:
    from xdvarnet.metrics.table import score

    with _open(options.maps) as maps, _open(options.reference) as reference:
        scores = score(maps, reference, variable=options.variable, kind=options.kind)
        for name, value in scores.data_vars.items():
            if value.ndim == 0:
                print(f"{name:24s} {float(value):12.6g} {value.attrs.get('units', '')}")


def _models(options: argparse.Namespace) -> None:
    from xdvarnet.zoo.registry import list_models

    print("\n".join(list_models()))


def _open(path: str) -> xr.Dataset:
    """Open files lazily, or say why not."""
    from xdvarnet.mapping.store import check_scale

    check_scale("the command")
    if Path(path).suffix == ".zarr":
        return xr.open_zarr(path)
    files = [path] if Path(path).exists() else sorted(glob.glob(path, recursive=True))
    if not files or not all(Path(file).is_file() for file in files):
        raise MissingFileError(f"there is no file {path}.")
    try:
        with xr.open_dataset(files[0]) as first:
            chunks = _pieces(first)
        if len(files) > 1:
            return xr.open_mfdataset(files, chunks=chunks)
        return xr.open_dataset(files[0], chunks=chunks)
    except (ValueError, OSError) as error:
        raise InvalidInputError(f"{path} cannot be read: {error}") from error


def _pieces(dataset: xr.Dataset) -> dict[Hashable, int]:
    """Return the chunks of maps that a file has in one piece; of others none, which are its own."""
    return {
        dim: DAYS_AT_ONCE
        for array in dataset.data_vars.values()
        if array.ndim > 2 and "preferred_chunks" not in array.encoding
        for dim in array.dims
        if dataset[dim].dtype.kind in "MO"  # dates, of any calendar
    }


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Show a warning in one line, without the place in the code."""
    del category, filename, lineno, file, line
    _say(f"warning: {message}")


def _say(text: str) -> None:
    """Write a message in one line, with options as a shell has them."""
    for advice, options in ADVICE.items():
        text = re.sub(advice, options, text)
    print(f"xdvarnet: {' '.join(text.split())}", file=sys.stderr)
