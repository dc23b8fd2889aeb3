"""Exports of annotation tools, one file a format, as records that are written as a plain folder."""
