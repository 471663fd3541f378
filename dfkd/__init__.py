"""Data-free knowledge distillation: pieces, experiments, clusters and evidence."""
