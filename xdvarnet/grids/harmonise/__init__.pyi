from xdvarnet.grids.harmonise.product import harmonise as harmonise
