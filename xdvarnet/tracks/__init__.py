"""Between maps and along-track points: sampling, binning, segments and crossovers."""

from xdvarnet._lazy import attach
from xdvarnet.tracks.crossovers import crossovers  # noqa: F401
from xdvarnet.tracks.segments import segments  # noqa: F401

__getattr__, __dir__, __all__ = attach(__name__, __file__)
