"""Figures; cartopy and matplotlib are imported when a figure is drawn."""

from xdvarnet._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "plot_map": "maps",
        "plot_ranks": "ensembles",
        "plot_spectra": "spectra",
        "plot_spread_skill": "ensembles",
        "plot_tracks": "tracks",
    },
)
