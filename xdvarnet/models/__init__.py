"""Models: the protocol, backgrounds, and the trained 4DVarNet."""
