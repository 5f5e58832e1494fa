"""`make bench-overload`: a minute of ten times what can be answered, then calm. See `__main__`."""
