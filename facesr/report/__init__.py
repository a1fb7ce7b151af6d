"""Runs -> curves, panels and one page."""
