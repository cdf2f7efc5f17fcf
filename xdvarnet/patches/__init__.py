"""Windows that cover a domain, and the blending of what was solved in them."""
