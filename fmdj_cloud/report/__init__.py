"""Results for people: pictures of them, a report to keep, and what to cite."""
