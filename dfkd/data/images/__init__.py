"""Single images: how they are decoded, kept decoded, and turned into the tensors of a network."""
