"""Heads: from a backbone's maps to the last map before the classifier."""
