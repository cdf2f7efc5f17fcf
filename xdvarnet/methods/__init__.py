"""Classical and trivial methods, on the same interface as the networks."""
