"""Which channels of a network belong together, which are constant, and which are alive."""
