"""Chaos: what is left of a study and a sweep when hosts, processes and servers are lost."""
