"""The lab's database as we see it."""

import warnings

# There needn't be a datajoint.json: our settings and DJ_* variables are enough
warnings.filterwarnings("ignore", "No datajoint.json found", UserWarning)
