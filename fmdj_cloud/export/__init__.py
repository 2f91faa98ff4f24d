"""Results that leave the database for other formats; the database is read, and nothing is changed."""
