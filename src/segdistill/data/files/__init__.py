"""Image and mask files as arrays and labels."""
