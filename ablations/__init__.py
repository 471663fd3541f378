"""Ablation studies.

One module each, with `study = Study(...)` and `study_of(recipe)`, the same of another recipe.
"""
