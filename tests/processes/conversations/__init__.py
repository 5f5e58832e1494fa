"""Whole conversations, one a file, each with what must be said and exactly what must be written. See `script.py`."""
