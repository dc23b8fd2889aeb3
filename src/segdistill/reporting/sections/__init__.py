"""One section of the page per pair of files: what it shows (.py) and how (.html)."""
