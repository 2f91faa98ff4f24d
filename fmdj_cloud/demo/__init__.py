"""Generated recordings with known truth, and embedded servers."""
