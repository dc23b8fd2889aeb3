"""A packed copy of a dataset, which every command accepts instead of the original."""
