"""Loggers of others, each behind Fabric's interface and in the one file that imports it."""
