"""Run and study folders: name, record, writer and reader of every file; imported without torch.

Each JSON document has a key ``format``. Documents of older formats, or without one, are read;
those of a later format are refused. Unknown keys are ignored, so that a later release can add keys
without changing the format.
"""
