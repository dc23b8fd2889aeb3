"""Delivery: cost and speed of a network, and files for other programs."""
