"""Optimal interpolation: a covariance, nodes with a local analysis each, and their blend."""
