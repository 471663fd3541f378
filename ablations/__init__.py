"""Ablation studies: one module each, with `study = Study(...)`."""
