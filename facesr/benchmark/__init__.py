"""Measurements against the stock way, in the same run."""
