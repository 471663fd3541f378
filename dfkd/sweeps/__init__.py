"""Sweeps: a search by the probe and its confirmation. Value, record, search, driver, figures, page,
terminal.
"""
