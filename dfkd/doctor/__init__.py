"""Looks a cluster or laptop over, in about a minute: what works, what does not, how to mend it."""
