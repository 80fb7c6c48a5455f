"""Passes over the graph: each rewrites it exactly, and says in notes what it did or why it declined."""
