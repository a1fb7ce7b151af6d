"""Folders of faces -> batches of training samples."""
