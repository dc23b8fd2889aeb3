"""Loggers of other libraries behind Fabric's interface, one file each."""
