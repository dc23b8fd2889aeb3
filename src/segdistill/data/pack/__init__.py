"""A packed copy of a dataset, which every command takes in place of the original."""
