from xdvarnet.grids.regrid.fields import regrid as regrid
from xdvarnet.grids.regrid.fields import regrid_weights as regrid_weights
