"""Networks, where their features are tapped, and teachers."""
