from xdvarnet.calibration.calibrated import Calibrated as Calibrated
from xdvarnet.calibration.errors import ErrorProcess as ErrorProcess
from xdvarnet.calibration.learning import calibrate as calibrate
