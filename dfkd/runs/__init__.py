"""Runs: one cell computed, found again and printed; a teacher and its scores of a pool printed."""
