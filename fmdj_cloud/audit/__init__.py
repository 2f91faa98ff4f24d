"""Rows that are in the result tables already, against their files and against themselves."""
