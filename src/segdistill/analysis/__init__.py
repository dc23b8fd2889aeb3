"""Analyses: the runs of one seed, their networks, and one file per kind of figure."""
