"""Scoring: a network's predictions on a dataset, and how good they are."""
