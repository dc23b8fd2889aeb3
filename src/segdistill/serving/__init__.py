"""The page of ``segdistill ui``: one image, and what several models make of it."""
