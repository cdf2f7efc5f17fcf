"""Priors: projections Phi of the cost |x - Phi(x)|^2."""
