"""Scoring: what a network predicts on a dataset and how good it is."""
