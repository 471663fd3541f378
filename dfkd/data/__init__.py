"""Labelled tasks, which teach a teacher and judge a student; unlabelled pools, from which one
distils.
"""
