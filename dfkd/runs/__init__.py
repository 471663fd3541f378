"""Runs: one cell computed, found again and shown; one teacher and one pool's scores shown."""
