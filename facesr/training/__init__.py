"""A config -> a run: its loop, hooks, optimiser and processes."""
