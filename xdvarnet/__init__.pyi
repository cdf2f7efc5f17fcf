from xdvarnet import calibration as calibration
from xdvarnet import datasets as datasets
from xdvarnet import diagnostics as diagnostics
from xdvarnet import dynamics as dynamics
from xdvarnet import grids as grids
from xdvarnet import mapping as mapping
from xdvarnet import methods as methods
from xdvarnet import metrics as metrics
from xdvarnet import networks as networks
from xdvarnet import observing as observing
from xdvarnet import plot as plot
from xdvarnet import solver as solver
from xdvarnet import spde as spde
from xdvarnet import tracks as tracks
from xdvarnet import training as training
from xdvarnet import zoo as zoo
from xdvarnet.calibration.calibrated import Calibrated as Calibrated
from xdvarnet.calibration.learning import calibrate as calibrate
from xdvarnet.diagnostics import geostrophic as geostrophic
from xdvarnet.errors import XdvarnetError as XdvarnetError
from xdvarnet.errors import XdvarnetWarning as XdvarnetWarning
from xdvarnet.evaluation import evaluate as evaluate
from xdvarnet.export import to_duacs as to_duacs
from xdvarnet.grids.harmonise.product import harmonise as harmonise
from xdvarnet.grids.regrid.fields import regrid as regrid
from xdvarnet.mapping.lead import Lead as Lead
from xdvarnet.mapping.reconstruct import reconstruct as reconstruct
from xdvarnet.methods.gaussian_field.field import SPDEField as SPDEField
from xdvarnet.methods.optimal_interpolation.interpolation import (
    OptimalInterpolation as OptimalInterpolation,
)
from xdvarnet.metrics.table import score as score
from xdvarnet.networks.dvarnet import DVarNet as DVarNet
from xdvarnet.observing.missions import list_missions as list_missions
from xdvarnet.observing.system import ObservingSystem as ObservingSystem
from xdvarnet.observing.system import observe as observe
from xdvarnet.plot.maps import plot_map as plot_map
from xdvarnet.plot.tracks import plot_tracks as plot_tracks
from xdvarnet.tracks.bin import bin_tracks as bin_tracks
from xdvarnet.tracks.sample import sample_tracks as sample_tracks
from xdvarnet.training.schedule import Schedule as Schedule
from xdvarnet.zoo.registry import list_models as list_models
from xdvarnet.zoo.registry import load_model as load_model
from xdvarnet.zoo.registry import save_model as save_model

__version__: str
