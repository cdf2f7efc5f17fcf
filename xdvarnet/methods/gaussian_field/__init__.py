"""Exact posteriors of Gaussian fields that solve a stochastic equation."""
