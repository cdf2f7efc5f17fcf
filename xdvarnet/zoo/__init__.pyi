from xdvarnet.zoo.registry import list_models as list_models
from xdvarnet.zoo.registry import load_model as load_model
from xdvarnet.zoo.registry import save_model as save_model
