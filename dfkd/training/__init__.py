"""Training: one run in plain PyTorch, and the cell that records it."""
