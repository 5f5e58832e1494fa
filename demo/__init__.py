"""Everything on one machine: `python -m demo`. Also gives the tests their private Redis and their processes."""
