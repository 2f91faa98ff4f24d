"""How long a great many recordings take and what they cost, on paper: ``fmdj plan --fleet``."""
