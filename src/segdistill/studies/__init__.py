"""Studies: methods compared, with the statistics that say what may be believed."""
