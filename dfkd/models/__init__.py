"""Networks, from which features are tapped, and teachers."""
