"""Gaussian fields that solve a stochastic advection-diffusion equation. Tensors only."""
