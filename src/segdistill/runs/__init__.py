"""Run and study folders: every file's name, record, writer and reader; free of torch to import.

Each JSON document carries ``format``. A document of an older format, or of none, is read; one
of a later format is refused by name. Keys that a record does not know are left out, so that a
later release may add to a format without a new number.
"""
