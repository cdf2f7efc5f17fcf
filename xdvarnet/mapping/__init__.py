"""Reconstruction: from labelled observations and a model to labelled maps."""
