"""Calibration: how wrong the maps of a model are, and ensembles that say so."""
