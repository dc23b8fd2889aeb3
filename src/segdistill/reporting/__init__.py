"""Reports: plots of a run, and a page that compares runs or presents a study."""
