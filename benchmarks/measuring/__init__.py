"""What the workloads of `make bench` share: figures, the sides that are compared, the report."""
