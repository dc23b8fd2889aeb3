"""``python -m segdistill``: the command line, where its script is not on the path."""

from segdistill.cli import main

if __name__ == "__main__":
    main()
