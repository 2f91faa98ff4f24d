"""The controller: what is wanted becomes attempts."""
