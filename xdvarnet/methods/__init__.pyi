from xdvarnet.methods.analog import AnalogForecast as AnalogForecast
from xdvarnet.methods.analog import Catalogue as Catalogue
from xdvarnet.methods.climatology import Climatology as Climatology
from xdvarnet.methods.dineof import DINEOF as DINEOF
from xdvarnet.methods.dynamical import DynamicalMethod as DynamicalMethod
from xdvarnet.methods.dynamical import StateAnalysis as StateAnalysis
from xdvarnet.methods.dynamical import StateWindow as StateWindow
from xdvarnet.methods.ensemble_filter import EnsembleFilter as EnsembleFilter
from xdvarnet.methods.ensemble_kalman import ETKF as ETKF
from xdvarnet.methods.ensemble_kalman import EnKF as EnKF
from xdvarnet.methods.ensemble_kalman import EnsembleKalmanSmoother as EnsembleKalmanSmoother
from xdvarnet.methods.gaussian_field.field import SPDEField as SPDEField
from xdvarnet.methods.hybrid import HybridEnVar as HybridEnVar
from xdvarnet.methods.localisation import Localisation as Localisation
from xdvarnet.methods.optimal_interpolation.interpolation import (
    OptimalInterpolation as OptimalInterpolation,
)
from xdvarnet.methods.series_interpolation import LaggedCovariance as LaggedCovariance
from xdvarnet.methods.series_interpolation import (
    SeriesOptimalInterpolation as SeriesOptimalInterpolation,
)
from xdvarnet.methods.trivial import MeanMapOffset as MeanMapOffset
from xdvarnet.methods.trivial import Persistence as Persistence
from xdvarnet.methods.variational import StrongFourDVar as StrongFourDVar
from xdvarnet.methods.variational import ThreeDVar as ThreeDVar
from xdvarnet.methods.variational import WeakFourDVar as WeakFourDVar
