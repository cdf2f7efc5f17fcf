from xdvarnet.training.draws import Augmentation as Augmentation
from xdvarnet.training.schedule import FineTuning as FineTuning
from xdvarnet.training.schedule import Schedule as Schedule
from xdvarnet.training.schedule import SeriesSchedule as SeriesSchedule
