"""Reports: pictures of a run, and one page that compares runs or a study."""
