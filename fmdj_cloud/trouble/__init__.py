"""Reports of faults: what is known, without secrets, for the project whose fault it is."""
