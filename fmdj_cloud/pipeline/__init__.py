"""The lab's database as we see it."""

import warnings

# There needn't be a datajoint.json: our settings and DJ_* variables are enough
warnings.filterwarnings("ignore", "No datajoint.json found", UserWarning)
# `fmdj doctor` says it once and with what it means; every command would say it, too
warnings.filterwarnings("ignore", "MariaDB is not officially supported", UserWarning)
