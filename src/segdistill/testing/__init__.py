"""For tests of losses: those of segdistill, and anybody's own."""
