"""What ``analyse`` looks at: the runs of one seed, their networks, and one file a figure."""
