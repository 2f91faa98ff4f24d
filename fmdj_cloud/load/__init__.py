"""Published signals become rows."""
