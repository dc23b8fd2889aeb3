"""Computations shared by several losses."""
