"""Gridded data: coordinates and checks."""
