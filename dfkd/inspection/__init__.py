"""Inspection: can this pool teach? Starved classes, what rules would take, near-duplicates."""
