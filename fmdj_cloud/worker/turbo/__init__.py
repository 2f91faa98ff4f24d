"""The turbo engine: the signals of Facemap's SVD, arranged for speed."""
