"""What a config may name: tables of losses, networks and datasets, free of torch."""
