"""Proof that an exported file computes what the masked network computes."""
