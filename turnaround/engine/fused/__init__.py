"""Trials of one shape trained as one: see `group.py`."""
