"""Places where models are run and timed: host.py says what one is, and each has a file of its own."""
