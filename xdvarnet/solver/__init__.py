"""The variational solver, in torch."""
