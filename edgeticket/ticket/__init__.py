"""A ticket: its mask, its record, how it is pruned, and its folder on disk."""
