"""Existing Facemap files become signals.h5: the only place that reads pickles, and none of them is trusted."""
