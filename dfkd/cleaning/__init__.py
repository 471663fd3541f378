"""Cleaning: what nothing in a storage refers to, shown and removed."""
