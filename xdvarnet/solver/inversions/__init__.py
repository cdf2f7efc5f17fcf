"""Learned inversions that are no descent of a cost: from observations to the state."""
