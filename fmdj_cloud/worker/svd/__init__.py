"""SVD runs with the published Facemap package, and what it gets wrong computed beside its files."""
