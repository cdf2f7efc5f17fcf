from xdvarnet.plot.ensembles import plot_ranks as plot_ranks
from xdvarnet.plot.ensembles import plot_spread_skill as plot_spread_skill
from xdvarnet.plot.maps import plot_map as plot_map
from xdvarnet.plot.spectra import plot_spectra as plot_spectra
from xdvarnet.plot.tracks import plot_tracks as plot_tracks
