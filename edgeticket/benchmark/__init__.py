"""Measuring models side by side, comparing saved results, and the trend over a history."""
