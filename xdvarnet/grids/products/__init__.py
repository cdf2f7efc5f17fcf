"""What `harmonise` is made of: roles of variables, units, positions, flags."""
