"""Dynamical models: the tendency of a state, and its integration in time. Tensors only."""
