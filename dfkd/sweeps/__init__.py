"""Sweeps: a search by the probe, the choice among its best, and the winner's confirmation."""
