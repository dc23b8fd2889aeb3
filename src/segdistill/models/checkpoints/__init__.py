"""Weights as people have them: every common form is read, and said what was left out."""
