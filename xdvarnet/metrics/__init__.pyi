from xdvarnet.metrics.along_track import binned_rmse as binned_rmse
from xdvarnet.metrics.along_track import daily_rms as daily_rms
from xdvarnet.metrics.along_track import track_errors as track_errors
from xdvarnet.metrics.calibration import add_observation_noise as add_observation_noise
from xdvarnet.metrics.calibration import binned_spread_skill as binned_spread_skill
from xdvarnet.metrics.calibration import coverage as coverage
from xdvarnet.metrics.calibration import expected_coverage as expected_coverage
from xdvarnet.metrics.calibration import gaussian_pit as gaussian_pit
from xdvarnet.metrics.calibration import (
    probability_integral_transform as probability_integral_transform,
)
from xdvarnet.metrics.calibration import rank_flatness as rank_flatness
from xdvarnet.metrics.calibration import rank_histogram as rank_histogram
from xdvarnet.metrics.calibration import spread_error_spectra as spread_error_spectra
from xdvarnet.metrics.calibration import spread_skill_ratio as spread_skill_ratio
from xdvarnet.metrics.challenges import ose2021a as ose2021a
from xdvarnet.metrics.challenges import osse2020a as osse2020a
from xdvarnet.metrics.proper_scores import energy_score as energy_score
from xdvarnet.metrics.proper_scores import fair_crps as fair_crps
from xdvarnet.metrics.proper_scores import gaussian_crps as gaussian_crps
from xdvarnet.metrics.regimes import distance_to_coast as distance_to_coast
from xdvarnet.metrics.regimes import find_regimes as find_regimes
from xdvarnet.metrics.regimes import ose2023a as ose2023a
from xdvarnet.metrics.scores import bias as bias
from xdvarnet.metrics.scores import explained_variance as explained_variance
from xdvarnet.metrics.scores import gradient_rmse as gradient_rmse
from xdvarnet.metrics.scores import mu as mu
from xdvarnet.metrics.scores import rmse as rmse
from xdvarnet.metrics.scores import sigma as sigma
from xdvarnet.metrics.series import score_series as score_series
from xdvarnet.metrics.spectra import effective_resolution as effective_resolution
from xdvarnet.metrics.spectra import power_spectrum_along_track as power_spectrum_along_track
from xdvarnet.metrics.spectra import wavenumber_frequency_spectrum as wavenumber_frequency_spectrum
from xdvarnet.metrics.table import score as score
