"""Drawn street scenes: what is painted, and how."""
