"""Importing makes shards in the storage, and a table of rejects, of what lies outside."""
