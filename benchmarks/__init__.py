"""What the claims rest on: ``python -m benchmarks.<name> [--quick] [--json FILE]``."""
