"""Reproduction: published tables as declared studies, beside the numbers that were published."""
