"""Workloads of `make bench`, one file each: `measure(bench)` returns what it found.

A new file here is a new workload; its name is the file's, its docstring says what is compared.
"""
