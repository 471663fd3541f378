"""Execution: who computes cells. Warm Ray tasks, Ray Train groups; Ray Data scores pools."""
