"""Importing: what lies outside, in any form, becomes shards in the storage and a table of
rejects.
"""
