"""Delivery: what a network costs, how fast it is, and files that other programs run."""
