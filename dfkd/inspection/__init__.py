"""Inspection: can this pool teach? What each rule would take of it, which classes starve,
near-duplicates.
"""
