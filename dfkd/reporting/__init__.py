"""Reporting: the terminal, HTML parts, LaTeX and contact sheets that several rooms use."""
