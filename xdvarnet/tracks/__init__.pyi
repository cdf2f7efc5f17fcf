from xdvarnet.tracks.bin import bin_tracks as bin_tracks
from xdvarnet.tracks.crossovers import crossover_noise as crossover_noise
from xdvarnet.tracks.crossovers import crossovers as crossovers
from xdvarnet.tracks.sample import sample_tracks as sample_tracks
from xdvarnet.tracks.segments import find_label as find_label
from xdvarnet.tracks.segments import find_missions as find_missions
from xdvarnet.tracks.segments import segments as segments
