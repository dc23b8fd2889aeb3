"""The search of students: which network is worth its time."""
