"""Testing: what all pieces of a kind promise, as suites that a user's own pieces can run."""
