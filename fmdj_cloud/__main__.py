"""``python -m fmdj_cloud`` is ``fmdj``."""

from fmdj_cloud.cli.app import main

if __name__ == "__main__":
    raise SystemExit(main())
