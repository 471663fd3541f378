"""Comparison: several studies and sweeps side by side."""
