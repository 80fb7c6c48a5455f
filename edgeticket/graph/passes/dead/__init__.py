"""The three steps of remove_dead.py. Each takes one analysis of the channels and changes the graph."""
