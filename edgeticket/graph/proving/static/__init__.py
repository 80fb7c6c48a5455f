"""Checks of a graph that run nothing of it: a file is held to its plan, and a plan to the original."""
