"""One file per network that a config can name, called as the config calls it."""
