"""Between maps and along-track points: sampling, binning, segments and crossovers."""
