"""``python -m segdistill``: the command line, where its script is not on the path."""

from segdistill.cli import main

main()
