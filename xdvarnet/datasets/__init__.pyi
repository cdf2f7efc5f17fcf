from xdvarnet.datasets.lorenz import cut_windows as cut_windows
from xdvarnet.datasets.lorenz import lorenz63 as lorenz63
from xdvarnet.datasets.lorenz import lorenz96 as lorenz96
from xdvarnet.datasets.lorenz import observe_series as observe_series
from xdvarnet.datasets.mediterranean import mediterranean as mediterranean
from xdvarnet.datasets.random_sea import random_sea as random_sea
from xdvarnet.datasets.twin import twin_ocean as twin_ocean
