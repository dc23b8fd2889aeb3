"""Studies: fair comparisons of methods, and their statistics."""
