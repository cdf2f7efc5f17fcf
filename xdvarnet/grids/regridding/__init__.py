"""What `regrid` is made of: grids, cells, weights."""
