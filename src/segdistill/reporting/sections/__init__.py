"""The sections of the page, each a pair of files: its values (.py) and its template (.html)."""
