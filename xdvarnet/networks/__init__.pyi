from xdvarnet.networks.dvarnet import DVarNet as DVarNet
from xdvarnet.networks.network import NetworkModel as NetworkModel
from xdvarnet.networks.normalizer import Normalizer as Normalizer
from xdvarnet.networks.scaled import Scaled as Scaled
from xdvarnet.networks.series_inversion import SeriesInversion as SeriesInversion
from xdvarnet.networks.training_grid import TrainingGrid as TrainingGrid
