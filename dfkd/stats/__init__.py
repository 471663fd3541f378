"""Statistics: designs, paired tests, corrections, racing and effects, from numbers only."""
