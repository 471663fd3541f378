"""Labelled tasks, which judge a student, and unlabelled pools, from which one distils."""
